"""What the interop peers share: their arguments, and the in-conference API: join, call, acknowledge, keep the token alive, leave.

Standard library only, because the GStreamer peer runs with the system's Python. Trusts any certificate: these peers talk to
an appliance that the same test started on loopback.
"""
import argparse
import json
import re
import ssl
import sys
import threading
import urllib.request


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("conference")
    parser.add_argument("name")
    parser.add_argument("seconds", type=float, help="how long to stay at most; the end of standard input ends it too")
    parser.add_argument("--media", choices=["mix", "forward"], help="what to ask for")
    parser.add_argument("--screen", action="store_true", help="receive a presentation too, as a second picture")
    parser.add_argument("--codec", help="the only picture codec to offer")
    parser.add_argument("--until", nargs=5, type=float, metavar=("X", "Y", "R", "G", "B"),
                        help="leave when 10 pictures and 30 sounds came and this point (shares of the picture) has this colour")
    return parser.parse_args()


def satisfied(until, counts):
    """Whether what --until names was seen and heard."""
    far = sum(abs(a - b) for a, b in zip(counts.get("colour", []), until[2:]))
    return counts["video"] >= 10 and counts["audio"] >= 30 and "colour" in counts and far < 120


class Session:
    def __init__(self, url, conference, name):
        self.base = f"{url}/api/services/{conference}"
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.token = None
        result = self.post("/new_session", {"display_name": name})
        self.token = result["token"]
        self.uuid = result["participant_uuid"]
        self.stop = threading.Event()
        threading.Thread(target=self._refresh, daemon=True).start()

    def post(self, path, body=None):
        headers = {"content-type": "application/json"}
        if self.token:
            headers["token"] = self.token
        request = urllib.request.Request(self.base + path, json.dumps(body or {}).encode(), headers, method="POST")
        with urllib.request.urlopen(request, context=self.context, timeout=20) as answer:
            return json.load(answer)["result"]

    def call(self, sdp, media=None, slides=None):
        """Offers. `slides`: the m-line, counted from 0, that is to receive presentations; stacks cannot write RFC 4796's a=content."""
        head, *lines = re.split(r"(?m)^(?=m=)", sdp)
        self.pictures = [re.search(r"(?m)^a=mid:(\S+)", line)[1] for line in lines if line.startswith("m=video")]
        if slides is not None:
            lines[slides] = lines[slides].rstrip("\r\n") + "\r\na=content:slides\r\n"
        body = {"call_type": "WEBRTC", "sdp": head + "".join(lines), **({"media": media} if media else {})}
        result = self.post(f"/participants/{self.uuid}/calls", body)
        self.call_uuid = result["call_uuid"]
        return result["sdp"]

    def orders(self):
        """Follows standard input until it ends: each line says at what width and height the pictures are shown from now on."""
        for line in sys.stdin:
            width, height = map(int, line.split())
            slots = [{"mid": mid, "width": width, "height": height} for mid in self.pictures]
            self.post(f"/participants/{self.uuid}/calls/{self.call_uuid}/wishes", {"slots": slots})

    def ack(self):
        self.post(f"/participants/{self.uuid}/calls/{self.call_uuid}/ack")

    def leave(self):
        self.stop.set()
        self.post("/end_session")

    def _refresh(self):
        while not self.stop.wait(24):
            self.token = self.post("/refresh_session")["token"]
