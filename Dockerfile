# curate with the versions that were tested together: docker build -t curate . && docker run --rm -v "$PWD:/work" curate build
# EXTRAS are those of pyproject.toml, e.g. --build-arg EXTRAS=embedded,mine
FROM python:3.11-slim
ARG EXTRAS=embedded
COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt "/src[$EXTRAS]" && rm -rf /src
WORKDIR /work
ENTRYPOINT ["curate"]
CMD ["--help"]
