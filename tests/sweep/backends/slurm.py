"""SLURM's commands as far as submitit uses them, on this machine: jobs are processes, and the queue is a folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

COMMANDS = """#!{python}
import json, os, re, signal, subprocess, sys, time
from pathlib import Path

queue, name, words = Path({queue!r}), Path(sys.argv[0]).name, sys.argv[1:]


def alive(job):
    try:
        state = Path(f"/proc/{{job['pid']}}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def jobs():
    return {{path.stem: json.loads(path.read_text()) for path in sorted(queue.glob("*.json"))}}


if name == "sbatch":
    script = Path(words[-1]).read_text()
    found = re.search(r"#SBATCH --array=(\\d+)-(\\d+)", script)
    number = 100 + len(list(queue.glob("*.json")))
    for index in range(int(found[1]), int(found[2]) + 1) if found else [None]:
        job = f"{{number}}_{{index}}" if found else str(number)
        more = {{"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(index)}} if found else {{}}
        more |= {{"SLURM_JOB_ID": job.replace("_", ""), "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0",
                  "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "here"}}
        quiet = {{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}}
        process = subprocess.Popen(["bash", words[-1]], env=os.environ | more, start_new_session=True, **quiet)
        (queue / f"{{job}}.json").write_text(json.dumps({{"pid": process.pid}}))
    print(f"Submitted batch job {{number}}")
elif name == "srun":
    command = words[words.index({python!r}):]
    os.execv(command[0], command)
elif name == "squeue":
    print("\\n".join(job for job, what in jobs().items() if alive(what)))
elif name == "sacct":
    print("JobID|State|NodeList")
    for job, what in jobs().items():
        print(f"{{job}}|{{'RUNNING' if alive(what) else 'FAILED'}}|here")
elif name == "scancel":
    signum = next((getattr(signal, "SIG" + word[9:]) for word in words if word.startswith("--signal=")), signal.SIGKILL)
    job = jobs()[words[-1]]
    if alive(job):  # the steps, not the script
        children = Path(f"/proc/{{job['pid']}}/task/{{job['pid']}}/children").read_text().split()
        for pid in [*map(int, children)] + ([job["pid"]] if signum == signal.SIGKILL else []):
            os.kill(pid, signum)
"""


def fake_slurm(folder: Path) -> dict[str, str]:
    """Makes the commands below a folder, and gives the environment in which they are found."""
    (folder / "bin").mkdir()
    (folder / "queue").mkdir()
    text = COMMANDS.format(python=sys.executable, queue=str(folder / "queue"))
    for name in ("sbatch", "srun", "squeue", "sacct", "scancel", "scontrol"):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
