"""An independent WebRTC peer on aiortc: sends a moving picture and a tone, counts frames that it sends and decodes, prints them as
JSON again and again.

usage: aiortc_peer.py --help
"""
import asyncio
import fractions
import json
import threading
import time

import numpy
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender, RTCSessionDescription, VideoStreamTrack
from av import AudioFrame, VideoFrame

from mgmt import Session, arguments, satisfied

RATE = 48000


class Picture(VideoStreamTrack):
    """A bar that moves over a plain colour, 640x360; every frame that is taken is sent."""

    def __init__(self, counts):
        super().__init__()
        self.counts = counts

    async def recv(self):
        pts, base = await self.next_timestamp()
        self.counts["sent"] += 1
        image = numpy.full((360, 640, 3), (180, 90, 30), numpy.uint8)
        at = (pts // 3000 * 8) % 600
        image[:, at : at + 40] = (20, 220, 220)
        frame = VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = pts, base
        return frame


class Tone(MediaStreamTrack):
    """A sine of 440 Hz in frames of 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.at = 0
        self.start = None

    async def recv(self):
        samples = RATE // 50
        self.start = self.start or time.time()
        await asyncio.sleep(max(0, self.start + self.at / RATE - time.time()))
        phase = (numpy.arange(samples) + self.at) * (2 * numpy.pi * 440 / RATE)
        frame = AudioFrame.from_ndarray((numpy.sin(phase) * 8000).astype(numpy.int16).reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.at, fractions.Fraction(1, RATE)
        self.at += samples
        return frame


async def count(track, kind, counts, until):
    while True:
        try:
            frame = await track.recv()
        except Exception:
            return
        counts[kind] += 1
        if kind == "video":
            counts["width"], counts["height"] = frame.width, frame.height
            if until and counts["video"] % 5 == 0:
                pixels = frame.to_ndarray(format="rgb24")
                counts["colour"] = pixels[int(until[1] * frame.height), int(until[0] * frame.width)].tolist()


async def main(args):
    session = await asyncio.to_thread(Session, args.url, args.conference, args.name)
    pc = RTCPeerConnection()
    counts = {"sent": 0, "audio": 0, "video": 0, "screen": 0, "width": 0, "height": 0}
    tasks = []
    connected = asyncio.Event()

    @pc.on("track")
    def on_track(track):
        at = [t.receiver.track for t in pc.getTransceivers()].index(track)
        tasks.append(asyncio.ensure_future(count(track, ["audio", "video", "screen"][at], counts, args.until)))

    @pc.on("connectionstatechange")
    def on_state():
        if pc.connectionState == "connected":
            connected.set()

    pc.addTrack(Tone())
    pc.addTrack(Picture(counts))
    if args.screen:
        # aiortc takes a second line of a kind for bundled before it is, and would leave it behind on a transport that is given up.
        pc.addTransceiver("video", direction="recvonly")._bundled = False
    if args.codec:
        codecs = RTCRtpSender.getCapabilities("video").codecs
        wanted = [c for c in codecs if c.mimeType.lower() in (f"video/{args.codec.lower()}", "video/rtx")]
        pc.getTransceivers()[1].setCodecPreferences(wanted)
    await pc.setLocalDescription(await pc.createOffer())
    # Its estimate (REMB, from abs-send-time) falls whenever Python is late, and pictures stop: here they are not to depend on how busy a machine is.
    offer = "".join(line for line in pc.localDescription.sdp.splitlines(True) if "abs-send-time" not in line)
    answer = await asyncio.to_thread(session.call, offer, args.media, 2 if args.screen else None)
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.to_thread(session.ack)
    await asyncio.wait_for(connected.wait(), 120)
    end = time.monotonic() + args.seconds
    orders = threading.Thread(target=session.orders, daemon=True)
    orders.start()
    while orders.is_alive() and time.monotonic() < end and not (args.until and satisfied(args.until, counts)):
        print(json.dumps({"connected": True, **counts}), flush=True)
        await asyncio.sleep(0.1)
    print(json.dumps({"connected": True, **counts}), flush=True)
    await asyncio.to_thread(session.leave)
    await pc.close()


asyncio.run(main(arguments()))
