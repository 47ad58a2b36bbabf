# docker build -t experiments .                                                        torch for the CPU
# docker build -t experiments --build-arg TORCH_INDEX= .                               torch as the package index has it, for GPUs
# docker run --rm -v "$PWD/outputs:/work/outputs" experiments train data=digits model=lenet5
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN useradd --create-home --uid 1000 user && mkdir /work && chown user /work
COPY . /source
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir torch torchvision --index-url "$TORCH_INDEX"; fi \
    && pip install --no-cache-dir /source && rm -rf /source
USER user
WORKDIR /work
ENTRYPOINT ["experiments"]
CMD ["--help"]
