# The speaker's image. Build it with `docker build --tag kube-route-speaker:0.1.0 .`
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /source
RUN python -m venv /opt/speaker
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY annotations annotations
COPY speaker speaker
# The versions are those that the tests ran with. Compiled here, as the root file system is read-only
# there; pip has no business in a running Pod.
RUN /opt/speaker/bin/pip install --no-cache-dir --constraint constraints.txt . \
    && /opt/speaker/bin/pip uninstall --yes pip \
    && /opt/speaker/bin/python -m compileall -q /opt/speaker/lib

FROM python:${PYTHON}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kube-route-speaker" \
      org.opencontainers.image.description="Publishes the addresses of a Kubernetes cluster to BGP routers, as kubectl annotate asks." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/speaker /opt/speaker
# Kube-OVN's DaemonSet starts its speaker by this path; flags without a command mean `run`.
RUN mkdir /kube-ovn && ln -s /opt/speaker/bin/speaker /kube-ovn/kube-ovn-speaker
ENV PATH=/opt/speaker/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
EXPOSE 10667
ENTRYPOINT ["speaker"]
CMD ["--help"]
