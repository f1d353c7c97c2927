"""An independent WebRTC peer on GStreamer's webrtcbin: sends a test picture and a tone, counts frames that it sends and decodes,
prints them as JSON again and again, and whether its DTLS certificate is RSA.

usage: gst_peer.py --help
"""
import json
import ssl
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

from mgmt import Session, arguments, satisfied  # noqa: E402

PIPELINE = """
webrtcbin name=peer bundle-policy=max-bundle
audiotestsrc is-live=true freq=600 volume=0.3 ! audioconvert ! audioresample ! opusenc
  ! rtpopuspay pt=111 ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer.
videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1 ! videoconvert
  ! vp8enc name=camera deadline=1 cpu-used=8 keyframe-max-dist=90 target-bitrate=500000
  ! rtpvp8pay pt=96 picture-id-mode=15-bit ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
"""

SCREEN = "application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96"
# rsaEncryption (RFC 8017) as a DER object identifier.
RSA = bytes.fromhex("06092a864886f70d010101")


def colour(buffer, width, height, x, y):
    """Red, green and blue at a point of a picture in I420, limited range of BT.601."""
    stride = (width + 3) & ~3
    half = ((width + 1) // 2 + 3) & ~3
    chroma = stride * ((height + 1) & ~1) + y // 2 * half + x // 2
    planes = [stride * y + x, chroma, chroma + half * ((height + 1) // 2)]
    luma, u, v = (buffer.extract_dup(at, 1)[0] for at in planes)
    luma, u, v = 1.164 * (luma - 16), u - 128, v - 128
    return [luma + 1.596 * v, luma - 0.392 * u - 0.813 * v, luma + 2.017 * u]


class Peer:
    def __init__(self, session, args):
        self.session, self.args = session, args
        self.counts = {"sent": 0, "audio": 0, "video": 0, "screen": 0, "width": 0, "height": 0}
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch(PIPELINE)
        self.peer = self.pipeline.get_by_name("peer")
        self.peer.connect("on-negotiation-needed", self.negotiate)
        self.peer.connect("pad-added", self.pad_added)
        self.started = False
        self.pipeline.get_by_name("camera").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self.sent)
        if args.screen:
            direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.peer.emit("add-transceiver", direction, Gst.Caps.from_string(SCREEN))

    def sent(self, *_):
        self.counts["sent"] += 1
        return Gst.PadProbeReturn.OK

    def negotiate(self, peer):
        if not self.started:
            self.started = True
            peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self.offered, None))

    def offered(self, promise, _):
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        self.peer.emit("set-local-description", offer, Gst.Promise.new())
        sdp = offer.sdp.as_text()
        threading.Thread(target=self.call, args=(sdp,), daemon=True).start()

    def call(self, sdp):
        try:
            answer = self.session.call(sdp, self.args.media, 2 if self.args.screen else None)
            _, message = GstSdp.SDPMessage.new_from_text(answer)
            description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
            self.peer.emit("set-remote-description", description, Gst.Promise.new())
            self.session.ack()
        except Exception as error:
            print(json.dumps({"connected": False, "error": str(error)}), flush=True)
            GLib.idle_add(self.loop.quit)
            return
        self.end = time.monotonic() + self.args.seconds
        self.orders = threading.Thread(target=self.session.orders, daemon=True)
        self.orders.start()
        GLib.timeout_add(100, self.look)

    def pad_added(self, _, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        kind = ["audio", "video", "screen"][pad.get_property("transceiver").get_property("mlineindex")]
        decode = Gst.ElementFactory.make("decodebin")
        decode.connect("pad-added", self.decoded, kind)
        self.pipeline.add(decode)
        decode.sync_state_with_parent()
        pad.link(decode.get_static_pad("sink"))

    def decoded(self, _, pad, kind):
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("sync", False)
        sink.set_property("signal-handoffs", True)
        sink.connect("handoff", lambda _, buffer, pad: self.count(kind, buffer, pad))
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def count(self, kind, buffer, pad):
        self.counts[kind] += 1
        if kind != "video":
            return
        caps = pad.get_current_caps().get_structure(0)
        width, height = caps.get_value("width"), caps.get_value("height")
        self.counts["width"], self.counts["height"] = width, height
        if self.args.until:
            x, y = int(self.args.until[0] * width), int(self.args.until[1] * height)
            if caps.get_value("format") == "I420":
                self.counts["colour"] = colour(buffer, width, height, x, y)

    def look(self):
        state = self.peer.get_property("connection-state")
        connected = state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED
        transport = self.peer.emit("get-transceiver", 0).get_property("sender").get_property("transport")
        rsa = RSA in ssl.PEM_cert_to_DER_cert(transport.get_property("certificate"))
        print(json.dumps({"connected": connected, "rsa": rsa, **self.counts}), flush=True)
        done = time.monotonic() >= self.end or self.args.until and satisfied(self.args.until, self.counts)
        if self.orders.is_alive() and not done:
            return True
        self.loop.quit()
        return False

    def run(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)
        self.session.leave()


Gst.init(None)
args = arguments()
Peer(Session(args.url, args.conference, args.name), args).run()
