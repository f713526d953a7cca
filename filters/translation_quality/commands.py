"""Command lines, which are in no language: a translation copies them."""

from __future__ import annotations

import polars as pl

# Names that are no words of a sentence, and names that are, which need an option, a path or an operator after them.
_NAMES = (
    "apt|apt-get|awk|bash|brew|cargo|chmod|chown|conda|cp|curl|df|dnf|docker|docker-compose|dpkg|du|ffmpeg|gcc|git|"
    "gpg|grep|gunzip|gzip|helm|ifconfig|java -jar|journalctl|kubectl|ls|lsof|mkdir|mv|mysql|nano|netstat|npm|npx|nvm|"
    "openssl|pip|pip3|pnpm|podman|ps|psql|pwd|pytest|python3|rm|rmdir|rsync|scp|sed|ssh|ssh-keygen|sudo|systemctl|"
    "tar|tmux|touch -|ufw|unzip|vim|wget|xargs|yarn|yum|zip"
)
_WORDS = (
    "cat|cd|cut|date|diff|echo|export|find|go|head|history|java|kill|less|ln|make|man|mount|node|ping|python|ruby|rust"
    "|sh|sort|source|tail|tee|terraform|time|top|touch|tr|uniq|watch|which|who"
)
_SIGN = (
    r"(?:-{1,2}[A-Za-z0-9]|[~.]?/[\w.]|[|<>&]{1,2} ?[\w./]|[\w.]+=\S|\$[\w{(]|"
    r"\S+\.(?:py|sh|js|ts|c|go|rb|java|txt|log|csv|json|yaml|yml|md)\b)"
)
_COMMAND = (
    rf"(?m)^[ \t]*(?:[$#>%] )?(?:sudo )?(?:"
    rf"(?:{_NAMES})(?: [\x20-\x7e]*[^\n\s.!?])?"
    rf"|(?:{_WORDS}) (?:[\x21-\x7e]+ )*?[\x22\x27]?{_SIGN}[\x20-\x7e]*"
    rf"|\.{{0,2}}/[\w./-]+(?: [\x20-\x7e]*)?"
    rf"|\$ [\x21-\x7e][\x20-\x7e]*|#![\x20-\x7e]*"
    rf"|[A-Za-z_]\w*\.[\w.]*\w\([\x20-\x7e]*\);?|(?:if|for|while|switch) ?\([\x20-\x7e]*\}}"
    rf"|[A-Z_]{{2,}}=\S+(?: [\x20-\x7e]*)?"
    rf"|[\[{{] ?[\x22{{\[][\x20-\x7e]*[\]}}]"
    rf")[ \t]*$"
)


def without_commands(texts: pl.Series) -> pl.Series:
    """The texts without lines that are a shell command, a path with arguments, an assignment of a variable, a call
    or JSON."""
    return texts.str.replace_all(_COMMAND, " ")
