"""Where Hydra looks for plugins: keeps the names of our launchers and sweepers where another package has options of the same name."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin


class NamesOfOurs(SearchPathPlugin):
    """Registers another package's option of the same name again, as `NAME_of_PACKAGE`: both can be chosen."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from experiments.config.options import conf_dir

        for group in ("launcher", "sweeper"):
            theirs = ConfigStore.instance().repo.get("hydra", {}).get(group, {})
            for ours in (conf_dir() / "hydra" / group).glob("*.yaml"):
                if (node := theirs.pop(ours.name, None)) is not None:
                    theirs[f"{ours.stem}_of_{node.provider}.yaml"] = node
