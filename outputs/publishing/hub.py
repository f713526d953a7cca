"""Publishes to a dataset repository of the Hugging Face Hub, in one commit on a known parent.

File contents are uploaded first (LFS or Xet), so an interrupted upload resumes where it stopped and nothing is sent
twice; then one commit adds all files. Rate limits (429) and server errors (5xx) are waited out.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from curate.errors import PublishError
from curate.redact import Redactor
from outputs.publishing.layout import Item
from outputs.publishing.targets import (
    MANIFEST,
    README,
    Conflict,
    PublishTarget,
    RemoteFile,
    State,
    UnknownState,
    human,
    read_manifest,
)

T = TypeVar("T")
_AT_ONCE = 16
"""Files announced and uploaded together; each is safe once it is uploaded."""
_FIRST_CONTACT = 20.0
_LONGEST_WAIT = 120.0
_ERROR = 40
"""The level of errors in ``logging``."""


class Hub(PublishTarget):
    """A dataset repository of the Hub."""

    form: ClassVar[Literal["hub", "folder", "url"]] = "hub"

    def __init__(
        self, repository: str, *, private: bool | None = None, token_env: str | None = None, deadline: float = 600.0
    ) -> None:
        super().__init__(repository)
        from huggingface_hub import HfApi

        self.private, self._deadline = private, deadline
        self._reached = False
        self._named = token_env
        self._token = self._find(token_env)
        self._api = HfApi(token=self._token or False, library_name="curate")
        self.tell: Callable[[str], None] = lambda _: None

    @staticmethod
    def _find(token_env: str | None) -> str | None:
        from huggingface_hub import get_token

        if token_env is None:
            return get_token()
        if not re.fullmatch(r"[A-Za-z_]\w*", token_env) or (token_env.startswith("hf_") and len(token_env) > 20):
            raise PublishError(
                "--token-env takes the name of an environment variable, such as HF_TOKEN, never the token itself"
            )
        token = os.environ.get(token_env)
        if not token:
            raise PublishError(f"the environment variable {token_env} is not set; it needs a token with write access")
        return token

    # ----------------------------------------------------------------------------------------------------------- asking
    def _call(self, what: str, call: Callable[[], T], *, sure: bool = True) -> T:
        """Calls the Hub, waiting and retrying when necessary.

        Args:
            sure: whether the call may be repeated if its response was lost.
        """
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        begun = time.monotonic()
        ends, pause = begun + self._deadline, 1.0
        while True:
            with _quiet():
                try:
                    result = call()
                    self._reached = True
                    return result
                except (Conflict, UnknownState, PublishError):
                    raise
                except HfHubHTTPError as error:
                    status = error.response.status_code
                    if status != 429 and status < 500:
                        raise self._failed(what, error) from None
                    if not sure and status != 429:
                        raise UnknownState(f"{what}: the Hub answered {status}") from None
                    problem, wait = f"the Hub answered {status}", _wait(error.response.headers, pause)
                except OfflineModeIsEnabled:
                    raise PublishError(
                        f"{self.address}: {what}: HF_HUB_OFFLINE is set; unset it and publish again"
                    ) from None
                except (httpx2.TransportError, ConnectionError, TimeoutError) as error:
                    if not sure:
                        raise UnknownState(f"{what}: the answer was lost ({type(error).__name__})") from None
                    problem, wait = f"the Hub cannot be reached ({type(error).__name__})", pause
                    if not self._reached:  # no network, or a wrong address: do not wait long
                        ends = min(ends, begun + _FIRST_CONTACT)
                except Exception as error:  # noqa: BLE001 - the library raises many kinds
                    raise self._failed(what, error) from None
            if time.monotonic() + wait > ends:
                raise PublishError(
                    f"{self.address}: {what}: {problem}, and waiting would take longer than {ends - begun:.0f} s; "
                    "publish again later: uploaded files are kept"
                )
            self.tell(f"{what}: {problem}; retrying in {wait:.0f} s")
            time.sleep(wait)
            pause = min(_LONGEST_WAIT, pause * 2)

    def _failed(self, what: str, error: Exception) -> PublishError:
        from huggingface_hub import errors

        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = _short(error, self._token)
        if isinstance(error, errors.GatedRepoError):
            reason = "it is gated: its owner must grant you access first"
        elif status == 401 or isinstance(error, errors.RepositoryNotFoundError):
            reason = (
                "it does not exist, or this token has no access"
                if self._token
                else "it does not exist, or needs a token"
            )
            reason += f": set {self._named or 'HF_TOKEN'} to a token with write access"
        elif status == 403:
            reason = f"this token does not permit it: it needs write access to {self.address}"
        return PublishError(f"{self.address}: {what}: {reason}")

    # ------------------------------------------------------------------------------------------------------------ state
    def state(self) -> State:
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        def look() -> Any:
            try:
                return self._api.dataset_info(self.address, timeout=30)
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return None

        info = self._call("reading its state", look)
        if info is None:
            return State(exists=False)
        head = str(info.sha)
        tree = self._call(
            "listing its files",
            lambda: list(self._api.list_repo_tree(self.address, recursive=True, revision=head, repo_type="dataset")),
        )
        files = {}
        for one in tree:
            blob = getattr(one, "blob_id", None)
            if blob is not None:
                lfs = getattr(one, "lfs", None)
                files[one.path] = RemoteFile(
                    int(getattr(one, "size", 0)), lfs.sha256 if lfs else None, None if lfs else blob
                )
        refs = self._call("listing its tags", lambda: self._api.list_repo_refs(self.address, repo_type="dataset"))
        card = self._read(README, head) if README in files else b""
        manifest = read_manifest(self._read(MANIFEST, head)) if MANIFEST in files else {}
        tags = {tag.name: tag.target_commit for tag in refs.tags}
        return State(files, head, True, bool(info.private), card.decode("utf-8", "replace"), manifest, tags)

    def _read(self, path: str, head: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            local = self._call(
                f"reading {path}",
                lambda: self._api.hf_hub_download(
                    self.address, path, repo_type="dataset", revision=head, local_dir=folder
                ),
            )
            return Path(local).read_bytes()

    # ---------------------------------------------------------------------------------------------------------- changes
    def apply(self, items: Sequence[Item], remove: Sequence[str], state: State, message: str) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        if not self._token:
            raise PublishError(
                f"{self.address}: publishing needs a token: set {self._named or 'HF_TOKEN'} to one with write access, "
                "or log in with 'hf auth login'"
            )
        head = state.head
        if not state.exists:
            private = True if self.private is None else self.private
            self._call(
                "creating the repository",
                lambda: self._api.create_repo(self.address, repo_type="dataset", private=private, exist_ok=True),
            )
            self.tell(f"{self.address}: created, {'private' if private else 'public'}")
            made = self._call("reading its state", lambda: self._api.dataset_info(self.address, timeout=30))
            head = str(made.sha) if made.sha else None
        add = [item for item in items if (known := state.files.get(item.path)) is None or not known.same(item)]
        operations = [CommitOperationAdd(item.path, item.content) for item in add]
        for start in range(0, len(operations), _AT_ONCE):
            some = operations[start : start + _AT_ONCE]
            send = partial(self._api.preupload_lfs_files, self.address, some, repo_type="dataset", free_memory=False)
            self._call("uploading", send)
            sent = sum(item.size for item in add[: start + len(some)])
            self.tell(f"{self.address}: {start + len(some):,} of {len(add):,} files, {human(sent)}")
        for operation, item in zip(operations, add, strict=True):
            if operation.upload_info.is_hashed and operation.upload_info.sha256.hex() != item.sha256:
                raise PublishError(
                    f"{item.content if isinstance(item.content, Path) else item.path} changed while it was uploaded; "
                    "see 'curate verify'"
                )
        summary, _, description = message.partition("\n")

        def commit() -> str:
            from huggingface_hub.errors import HfHubHTTPError

            try:
                done = self._api.create_commit(
                    self.address,
                    [*operations, *(CommitOperationDelete(path) for path in remove)],
                    repo_type="dataset",
                    commit_message=summary,
                    commit_description=description.strip(),
                    parent_commit=head,
                )
            except HfHubHTTPError as error:
                if error.response.status_code in (409, 412):
                    raise Conflict from None
                raise
            except ValueError as error:
                raise PublishError(f"{self.address}: the Hub rejects the card: {_short(error, self._token)}") from None
            return str(done.oid)

        return self._call("committing", commit, sure=False)

    def tag(self, name: str, commit: str, state: State) -> bool:
        if name not in state.tags:
            self._call(
                f"tagging {name}",
                lambda: self._api.create_tag(
                    self.address, tag=name, revision=commit, repo_type="dataset", exist_ok=True
                ),
            )
        return True

    def settle(self, state: State) -> list[str]:
        if not state.exists or self.private is None or state.private is None or state.private == self.private:
            return []
        self._call(
            "setting its visibility",
            lambda: self._api.update_repo_settings(self.address, repo_type="dataset", private=self.private),
        )
        return [f"it is {'private' if self.private else 'public'} now"]


def _wait(headers: Any, pause: float) -> float:
    """Seconds to wait: as the server says, else a growing pause."""
    header = str(headers.get("Retry-After") or "")
    if re.fullmatch(r"\d{1,6}(\.\d+)?", header):
        return float(header)
    limit = re.search(r"\bt=(\d+)", str(headers.get("ratelimit") or ""))
    return float(limit[1]) if limit else pause


def _short(error: BaseException, token: str | None) -> str:
    """An exception's message on one line, without the token and without URL signatures."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1", "; ".join(lines[:4]) or type(error).__name__)
    return Redactor([token] if token else [])(text)[:500]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the library from logging addresses (those of uploads are signed) and drawing progress bars; its exceptions
    have all the information."""
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    level, bars = logging.get_verbosity(), not are_progress_bars_disabled()
    logging.set_verbosity(_ERROR)
    if bars:
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            enable_progress_bars()
