"""The in-conference API as the interop peers use it: join, call, acknowledge, keep the token alive, leave.

Standard library only, because the GStreamer peer runs with the system's Python. Trusts any certificate: these peers talk to
an appliance that the same test started on loopback.
"""
import json
import ssl
import threading
import urllib.request


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

    def call(self, sdp):
        result = self.post(f"/participants/{self.uuid}/calls", {"call_type": "WEBRTC", "sdp": sdp})
        self.call_uuid = result["call_uuid"]
        return result["sdp"]

    def ack(self):
        self.post(f"/participants/{self.uuid}/calls/{self.call_uuid}/ack")

    def leave(self):
        self.stop.set()
        self.post("/end_session")

    def _refresh(self):
        while not self.stop.wait(24):
            self.token = self.post("/refresh_session")["token"]
