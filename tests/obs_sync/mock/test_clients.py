"""Many clients of one mocked OBS at once, and one that asks for what it does not know."""
from __future__ import annotations

import hashlib
import http.client
import re
import threading

import pytest

from obs_sync.mock import Faults, UnknownRequests, mock_obs
from tests.obs_sync.mock.support import BUCKET, request, signed_headers

CLIENTS, KEYS = 64, 4
PART = b"p" * (100 * 1024)


class Client:
    """Bare HTTP over one connection that is kept."""

    def __init__(self, mock, number):
        self._mock = mock
        self._connection = http.client.HTTPConnection("127.0.0.1", mock.port, timeout=60)
        self.content = hashlib.sha256(str(number).encode()).digest() * (20 * (number + 1))
        self.number = number
        self.failure = None

    def ask(self, method, path, body=None):
        self._connection.request(method, path, body, signed_headers(self._mock, method, path))
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def run(self):
        try:
            self._work()
        except BaseException as failure:
            self.failure = failure
        finally:
            self._connection.close()

    def _work(self):
        mine = f"client-{self.number:02d}/"
        for number in range(KEYS):
            assert self.ask("PUT", f"/{mine}{number}", self.content)[0] == 200
            assert self.ask("PUT", "/shared", self.content)[0] == 200
        for number in range(KEYS):
            assert self.ask("GET", f"/{mine}{number}") == (200, self.content)
        shared = self.ask("GET", "/shared")[1]  # of some client, and whole
        assert len(shared) % 640 == 0 and shared == shared[:32] * (len(shared) // 32)
        keys = re.findall(rb"<Key>([^<]*)</Key>", self.ask("GET", "/?prefix=" + mine)[1])
        assert keys == [f"{mine}{number}".encode() for number in range(KEYS)]
        assert self.ask("DELETE", f"/{mine}0")[0] == 204
        assert self.ask("GET", f"/{mine}0")[0] == 404
        self._upload(f"/{mine}parts")

    def _upload(self, path):
        document = self.ask("POST", path + "?uploads")[1]
        upload_id = re.search(rb"<UploadId>(\w+)</UploadId>", document).group(1).decode()
        parts = []
        for number, body in enumerate((PART, self.content), start=1):
            assert self.ask("PUT", f"{path}?partNumber={number}&uploadId={upload_id}", body)[0] == 200
            parts.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{hashlib.md5(body).hexdigest()}</ETag></Part>")
        document = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>"
        status, reply = self.ask("POST", f"{path}?uploadId={upload_id}", document)
        assert status == 200 and b"<Error>" not in reply


@pytest.mark.parametrize("where, rules", [("memory", []), ("disk", []),
                                          ("memory", ["latency=0", "every=3 stall=0.01"])])
def test_64_clients_at_once_get_and_leave_what_they_should(tmp_path, where, rules):
    with mock_obs(root=str(tmp_path / "root") if where == "disk" else None, buckets=[BUCKET]) as mock:
        if rules:
            mock.faults = Faults(rules)
        clients = [Client(mock, number) for number in range(CLIENTS)]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [client.failure for client in clients] == [None] * CLIENTS
        wanted = {"PutObject": 2 * KEYS * CLIENTS, "GetObject": (KEYS + 2) * CLIENTS, "ListObjects": CLIENTS,
                  "DeleteObject": CLIENTS, "InitiateMultipartUpload": CLIENTS, "UploadPart": 2 * CLIENTS,
                  "CompleteMultipartUpload": CLIENTS}
        total = sum(wanted.values())
        assert (mock.counts, len(mock.requests)) == (wanted, total)
        assert mock.injected == ({"latency": total, "stall": total // 3} if rules else {})
        assert len(mock.keys(BUCKET)) == KEYS * CLIENTS + 1 and mock.uploads(BUCKET) == []
        for client in clients:
            mine = f"client-{client.number:02d}/"
            assert mock.get(BUCKET, mine + "1") == client.content
            assert mock.get(BUCKET, mine + "parts") == PART + client.content


# --- requests that it does not know

def test_a_strict_mock_raises_at_the_end_for_what_it_does_not_know():
    with pytest.raises(UnknownRequests, match="GET /bucket/key .*torrent") as caught:
        with mock_obs(buckets=[BUCKET], strict=True) as mock:
            assert request(mock, "GET", "/key?torrent").status == 501
    assert [record.key for record in caught.value.records] == ["key"]

    @mock_obs(buckets=[BUCKET], strict=True)
    def decorated():
        from obs_sync.mock import current_mock
        request(current_mock(), "GET", "/key?torrent")

    with pytest.raises(UnknownRequests):
        decorated()


def test_a_strict_mock_does_not_hide_another_failure_nor_invent_one():
    with pytest.raises(ZeroDivisionError):
        with mock_obs(buckets=[BUCKET], strict=True) as mock:
            request(mock, "GET", "/key?torrent")
            raise ZeroDivisionError
    with mock_obs(buckets=[BUCKET], strict=True) as mock:
        mock.faults = Faults(["status=501"])  # refused on purpose, and known
        assert request(mock, "GET", "/key").status == 501
