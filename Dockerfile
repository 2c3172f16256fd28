# The controller's image. Any base with CPython 3.11 or newer and its venv module will do.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/build.txt requirements/controller.txt requirements/
# What builds stays in /build; what runs goes to /opt/taskruns, which has no installer in it.
RUN python3 -m venv /build \
    && python3 -m venv --without-pip /opt/taskruns \
    && /build/bin/pip install --require-hashes -r requirements/build.txt \
    && /build/bin/pip --python /opt/taskruns/bin/python install \
        --only-binary :all: --require-hashes -r requirements/controller.txt
COPY pyproject.toml README.md LICENSE ./
COPY controller controller
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /build/bin/pip --python /opt/taskruns/bin/python install --no-deps /dist/*.whl

FROM ${BASE}
ENV PATH=/opt/taskruns/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# kopf asks for the user's name, and a user that is only a number, as here, has no other.
ENV USER=taskruns
COPY --from=build /opt/taskruns /opt/taskruns
USER 65532:65532
WORKDIR /
ENTRYPOINT ["taskruns-controller"]
