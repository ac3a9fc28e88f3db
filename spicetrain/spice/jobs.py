"""A TOML that says which jobs of a batch system (SLURM, PBS, ...) are the workers."""

from __future__ import annotations

import signal
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import Field

from spicetrain.errors import ConfigurationError, nearest
from spicetrain.schema import Definition, parse, read_toml


class Jobs(Definition):
    """cluster   the name of a class of dask_jobqueue, such as "SLURMCluster" or "PBSCluster"
    jobs         how many jobs are asked for
    keywords     of the class: what one job is (dask-jobqueue's documentation)
    """

    cluster: str
    jobs: int = Field(gt=0)
    keywords: dict[str, Any] = {}

    @property
    def workers(self) -> int:
        """Processes of all jobs, each with one thread."""
        return self.jobs * int(self.keywords["processes"])

    def submit(self) -> Any:
        """The cluster, its jobs asked for. ConfigurationError: dask-jobqueue is not installed, has no such class, or
        does not take these keywords."""
        package = jobqueue()
        known = [name for name in dir(package) if name.endswith("Cluster") and name != "JobQueueCluster"]
        if self.cluster not in known:
            raise ConfigurationError(f"dask_jobqueue has no {self.cluster!r}.{nearest(self.cluster, known)}")
        try:
            made = getattr(package, self.cluster)(**self.keywords)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"dask_jobqueue.{self.cluster} refuses [keywords]: {error}") from error
        made.scale(jobs=self.jobs)
        return made


def jobqueue() -> Any:
    """The package. ConfigurationError when it is not installed."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return import_module("dask_jobqueue")
    except ImportError as error:
        raise ConfigurationError(
            f"Jobs of a batch system need the package dask-jobqueue, which cannot be imported ({error}): pip install "
            "dask-jobqueue."
        ) from error
    finally:
        for number, handler in handlers.items():  # imported, it makes a plain exit of Ctrl-C
            signal.signal(number, handler)


def load_jobs(path: Path) -> Jobs:
    """ConfigurationError: no such file, an unknown key, workers of several threads."""
    jobs = parse(Jobs, read_toml(path), str(path))
    cores, processes = jobs.keywords.get("cores"), jobs.keywords.get("processes")
    if not isinstance(processes, int) or cores != processes:
        raise ConfigurationError(
            f"{path}: keywords.cores = {cores}, keywords.processes = {processes}: they must be there and equal, so "
            "that every worker is one process with one thread."
        )
    return jobs
