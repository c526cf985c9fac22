"""A run's artifacts, written behind: files are copied into the spool, and whoever reads them waits for their upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from nbops.project import Project
from nbops.tracking.journal.entries import Files
from nbops.tracking.journal.outbox import current
from nbops.tracking.journal.settling import settle


class SpooledArtifacts(ArtifactRepository):  # type: ignore[misc]  # MLflow isn't typed
    """The artifacts of one run of a project.

    Parameters
    ----------
    project
        The project.
    run_id
        The run.
    """

    def __init__(self, project: Project, run_id: str) -> None:
        super().__init__(f"nbops-artifacts:/{run_id}")
        self._project = project
        self._run_id = run_id

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Spool a file."""
        path = Path(local_file)
        if not path.is_file():
            raise FileNotFoundError(2, "No such file or directory", str(local_file))
        self._spool([path], artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Spool a folder's content."""
        self._spool(sorted(Path(local_dir).iterdir()), artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List what is there, with all that was logged."""
        listed: list[FileInfo] = self._real().list_artifacts(path)
        return listed

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._real()._download_file(remote_file_path, local_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete artifacts."""
        self._real().delete_artifacts(artifact_path)

    def _spool(self, paths: list[Path], artifact_path: str | None) -> None:
        outbox = current()
        if outbox is None:
            for path in paths:
                if path.is_dir():
                    below = f"{artifact_path}/{path.name}" if artifact_path else path.name
                    self._real().log_artifacts(str(path), below)
                else:
                    self._real().log_artifact(str(path), artifact_path)
            return
        outbox.write(Files(self._run_id, outbox.spool.put_files(paths), artifact_path))

    def _real(self) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.tracking._tracking_service import utils

        from nbops.tracking.journal.plugin import real_uri

        settle(self._project)
        uri = real_uri(self._project)
        run = utils._get_store(uri).get_run(self._run_id)
        return get_artifact_repository(run.info.artifact_uri, tracking_uri=uri)
