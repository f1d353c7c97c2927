// Network quality from getStats: round trip, loss in both directions, rates, and the size of the main picture.

export class Network {
  constructor(connection) { this.connection = connection; this.last = null; }

  async measure() {
    const pc = this.connection();
    if (!pc || pc.connectionState === 'closed') return null;
    const now = { at: performance.now(), received: 0, lost: 0, bytesIn: 0, bytesOut: 0, sentLoss: 0, rtt: 0, picture: '', path: '' };
    const stats = await pc.getStats();
    let largest = 0;
    for (const s of stats.values()) {
      if (s.type === 'inbound-rtp') {
        now.received += s.packetsReceived ?? 0;
        now.lost += Math.max(0, s.packetsLost ?? 0);
        now.bytesIn += s.bytesReceived ?? 0;
        if ((s.frameWidth ?? 0) > largest) { largest = s.frameWidth; now.picture = `${s.frameWidth}×${s.frameHeight} ${Math.round(s.framesPerSecond ?? 0)}/s`; }
      } else if (s.type === 'outbound-rtp') now.bytesOut += s.bytesSent ?? 0;
      else if (s.type === 'remote-inbound-rtp') now.sentLoss = Math.max(now.sentLoss, s.fractionLost ?? 0);
      else if (s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded') {
        now.rtt = s.currentRoundTripTime ?? 0;
        now.path = (stats.get(s.localCandidateId)?.protocol ?? 'udp').toUpperCase();
      }
    }
    const before = this.last ?? now;
    this.last = now;
    const seconds = Math.max(0.001, (now.at - before.at) / 1000);
    const expected = now.received - before.received + now.lost - before.lost;
    const loss = Math.max(expected > 0 ? Math.max(0, now.lost - before.lost) / expected : 0, now.sentLoss);
    const rate = (a, b) => `${Math.max(0, Math.round((a - b) * 8 / seconds / 1000))} kbit/s`;
    return {
      level: loss > 0.1 || now.rtt > 0.8 ? 1 : loss > 0.04 || now.rtt > 0.4 ? 2 : loss > 0.01 || now.rtt > 0.2 ? 3 : 4,
      rows: [
        ['statRtt', `${Math.round(now.rtt * 1000)} ms`], ['statLoss', `${(loss * 100).toFixed(1)} %`],
        ['statDown', rate(now.bytesIn, before.bytesIn)], ['statUp', rate(now.bytesOut, before.bytesOut)],
        ['statPicture', now.picture || '–'], ['statPath', now.path || '–'],
      ],
    };
  }
}
