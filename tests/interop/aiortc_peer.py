"""An independent WebRTC peer on aiortc: sends a moving picture and a tone, counts what it receives, prints JSON.

usage: aiortc_peer.py URL CONFERENCE NAME SECONDS
"""
import asyncio
import fractions
import json
import sys
import time

import numpy
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import AudioFrame, VideoFrame

from mgmt import Session

RATE = 48000


class Picture(VideoStreamTrack):
    """A bar that moves over a plain colour, 640x360."""

    async def recv(self):
        pts, base = await self.next_timestamp()
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


async def count(track, counts):
    while True:
        try:
            frame = await track.recv()
        except Exception:
            return
        counts[track.kind] += 1
        if track.kind == "video":
            counts["width"], counts["height"] = frame.width, frame.height


async def main(url, conference, name, seconds):
    session = await asyncio.to_thread(Session, url, conference, name)
    pc = RTCPeerConnection()
    counts = {"audio": 0, "video": 0, "width": 0, "height": 0}
    tasks = []
    connected = asyncio.Event()

    @pc.on("track")
    def on_track(track):
        tasks.append(asyncio.ensure_future(count(track, counts)))

    @pc.on("connectionstatechange")
    def on_state():
        if pc.connectionState == "connected":
            connected.set()

    pc.addTrack(Tone())
    pc.addTrack(Picture())
    await pc.setLocalDescription(await pc.createOffer())
    answer = await asyncio.to_thread(session.call, pc.localDescription.sdp)
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.to_thread(session.ack)
    await asyncio.wait_for(connected.wait(), 30)
    await asyncio.sleep(seconds)
    print(json.dumps({"connected": True, **counts}), flush=True)
    await asyncio.to_thread(session.leave)
    await pc.close()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
