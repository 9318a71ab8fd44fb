"""Reads what was billed out of an answer while its bytes pass.

mitmproxy calls the tap for every chunk and sends on what it returns; had it raised, the client would get nothing more.
So whatever goes wrong in here ends the reading and never the stream, and what comes in goes out: the same bytes, none
held back.

Not even KeyboardInterrupt, SystemExit or CancelledError get out: mitmproxy handles the signals that end it without the
first two, and the third arrives only where something waits, which nothing does in here.
"""

from __future__ import annotations

import re
from dataclasses import replace

from billing import aws_event_stream
from billing.answer_formats import ANSWERS, DONE, Seen, told
from billing.content_decoding import decoder_for
from billing.usage import Usage

__all__ = ["UsageTap"]

# What is larger is not read. Most events that matter are some hundred bytes, but the last one of a Response repeats all
# of the answer, the tools and the instructions.
_LARGEST_EVENT = 4 * 1024 * 1024
_LARGEST_DOCUMENT = 8 * 1024 * 1024
# How much a chunk may unfold to, and an answer in all, so that a few bytes cannot hold up the proxy.
_MOST_AT_ONCE = 1024 * 1024
_MOST_FROM_A_BYTE = 16
_MOST_READ = 256 * 1024 * 1024

_EVENT_END = re.compile(rb"\n[\r\n]+|\r\n[\r\n]+|\r\r[\r\n]*")  # two line ends or more, of any of the three kinds
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LONGEST_END = 4  # of the shortest end: two line ends


class UsageTap:
    """For one answer: call it with each chunk, and with b"" at the end; it returns the chunk.

    `endpoint` is the value of a `host_rules.Endpoint`; of others, and of content encodings that are not known, nothing
    is read.
    """

    def __init__(self, endpoint: str, content_type: str, content_encoding: str) -> None:
        self._seen = Seen()
        self.problem = ""
        """The name of the exception that ended the reading; empty if none did."""
        self._answer = ANSWERS.get(endpoint)
        self._decode = decoder_for(content_encoding)
        self._is_framed = aws_event_stream.CONTENT_TYPE in content_type.lower()
        self.is_stream = self._is_framed or "event-stream" in content_type.lower()
        """Whether the answer comes as events."""
        self._is_reading = self._answer is not None and self._decode is not None
        self._rest = bytearray()
        self._looked = 0  # so much of the rest holds no end of an event
        self._read = 0

    @property
    def usage(self) -> Usage | None:
        """What the answer has told of so far."""
        return self._seen.usage

    @property
    def model(self) -> str:
        """As the answer names it; empty if it has not."""
        return self._seen.model

    @property
    def is_complete(self) -> bool:
        """Whether the answer has come to its own end, and has not just ended."""
        return self._seen.is_complete

    def __call__(self, data: bytes) -> bytes:
        """Look at `data`, and hand it back."""
        if self._is_reading:
            try:
                self._take(data)
            except BaseException as error:  # noqa: BLE001 - see the module's docstring
                self.problem = type(error).__name__
                self._is_reading = False
                self._rest.clear()
        return data

    def _take(self, data: bytes) -> None:
        assert self._decode is not None  # noqa: S101 - else it is not reading
        most = min(_MOST_READ, self._read + _MOST_AT_ONCE + _MOST_FROM_A_BYTE * len(data))
        for piece in self._decode(data):
            self._read += len(piece)
            if self._read > most:
                raise OverflowError
            self._rest += piece
            if self._is_framed:
                self._take_messages()
            elif self.is_stream:
                self._take_events()
            elif len(self._rest) > _LARGEST_DOCUMENT:
                raise OverflowError
        if not data:
            if not self.is_stream:
                self._take_document()
            elif not self._is_framed:
                self._take_event(bytes(self._rest))
            self._is_reading = False

    def _take_messages(self) -> None:
        for text in aws_event_stream.take_messages(self._rest, _LARGEST_EVENT):
            if self._matters(text):
                self._take_text(text)

    def _take_events(self) -> None:
        rest = self._rest
        start = 0
        for end in _EVENT_END.finditer(rest, max(0, self._looked - _LONGEST_END)):
            self._take_event(bytes(rest[start : end.start()]))
            start = end.end()
        if start:
            del rest[:start]
        self._looked = len(rest)
        if self._looked > _LARGEST_EVENT:
            raise OverflowError

    def _take_event(self, event: bytes) -> None:
        if not self._matters(event):
            return
        lines = _LINE_END.split(event.removeprefix(b"\xef\xbb\xbf"))
        self._take_text(b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")))

    def _matters(self, event: bytes) -> bool:
        assert self._answer is not None  # noqa: S101 - else it is not reading
        return any(mark in event for mark in self._answer.marks)

    def _take_text(self, text: bytes) -> None:
        assert self._answer is not None  # noqa: S101 - else it is not reading
        if text == DONE:
            self._seen = replace(self._seen, is_complete=True)
        elif (event_told := told(text)) is not None:
            self._seen = self._answer.event(self._seen, event_told)

    def _take_document(self) -> None:
        assert self._answer is not None  # noqa: S101 - else it is not reading
        if (document := told(bytes(self._rest))) is not None:
            self._seen = self._answer.document(self._seen, document)
        self._rest.clear()
