"""The part of OpenAI's interface that takes files and starts jobs of fine-tuning."""

from __future__ import annotations

import email.parser
import email.policy
import json
from http.server import BaseHTTPRequestHandler
from typing import Any


class FilesAndJobs(BaseHTTPRequestHandler):
    """Takes files and jobs, and keeps what it was told."""

    told: list[tuple[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/files"):
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body).iter_parts()
            told: Any = {
                part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts
            }
            answer = {
                "id": f"file-{len(self.told)}",
                "object": "file",
                "bytes": 1,
                "created_at": 0,
                "filename": "f",
                "purpose": "fine-tune",
                "status": "processed",
            }
        else:
            told = json.loads(body)
            answer = {"id": "job-1", "object": "fine_tuning.job"}
        self.told.append((self.path, told))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: Any) -> None:
        pass
