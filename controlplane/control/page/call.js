// One media connection: a PeerConnection whose offer has a slot for every tile, and a second one for a shared screen.
// Slots are filled by the server; nobody's coming or going renegotiates anything.

// Simulcast: each encoding has half the size of the next. Chromium sends fewer encodings of small pictures and leaves the
// largest ones out, so a camera below 960×540 is offered with two of them, one below 480×270 with one.
function encodings(track) {
  const { width = 1280 } = track?.getSettings() ?? {};
  if (trial.has('svc')) return [{ scalabilityMode: trial.get('svc'), maxBitrate: 1_700_000 }];
  const all = [{ rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 }, { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 }, { rid: 'f', maxBitrate: 1_700_000 }];
  return width >= 960 ? all : width >= 480 ? [{ ...all[1], maxBitrate: 250_000 }, { ...all[2], maxBitrate: 900_000 }] : [{ maxBitrate: 500_000 }];
}

// VP9 and AV1 send the layers of one encoding instead of simulcast; which codec it is, the answer says.
async function layer(sender) {
  const parameters = sender?.getParameters();
  const { codecs = [], encodings: all = [] } = parameters ?? {};
  if (all.length < 2 || !/vp9|av1/i.test(codecs[0]?.mimeType)) return;
  const largest = all.at(-1);
  all.forEach((encoding, i) => Object.assign(encoding, i ? { active: false } : { scaleResolutionDownBy: 1, maxBitrate: largest.maxBitrate, scalabilityMode: 'L3T3_KEY' }));
  await sender.setParameters(parameters).catch(() => {});
}

// For trials: `?codec=VP9` offers no other picture codec, `?svc=L3T3` sends the layers of one encoding instead of simulcast,
// `?red=1` sends redundant sound.
const trial = new URLSearchParams(location.search);

function prefer(transceiver, kind) {
  const all = RTCRtpReceiver.getCapabilities(kind).codecs;
  const is = (name) => (c) => c.mimeType.toLowerCase() === `${kind}/${name.toLowerCase()}`;
  if (kind === 'video' && trial.has('codec')) transceiver.setCodecPreferences(all.filter((c) => is(trial.get('codec'))(c) || is('rtx')(c)));
  // Layers of AV1 cannot be told apart without the dependency descriptor, which Chromium offers only where it is asked for.
  const layers = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
  if (kind === 'video') transceiver.setHeaderExtensionsToNegotiate?.(transceiver.getHeaderExtensionsToNegotiate().map((e) => (e.uri === layers ? { ...e, direction: 'sendrecv' } : e)));
  if (kind === 'audio' && trial.has('red')) transceiver.setCodecPreferences([...all.filter(is('red')), ...all.filter((c) => !is('red')(c))]);
}

export class Call {
  constructor(session, { iceServers = [], onState = () => {} } = {}) {
    this.session = session;
    this.onState = onState;
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: 'max-bundle' });
    this.pc.onconnectionstatechange = () => this.#stateChanged();
    this.wishes = '';
  }

  // The conference: our camera and microphone, `tiles` pictures, three sounds, one presentation. `mixed`: one picture of everybody,
  // with the presentation in it, and one sound instead, made by the server.
  async join({ stream, tiles, mixed = false }) {
    const pc = this.pc;
    const audio = stream?.getAudioTracks()[0] ?? null;
    const video = stream?.getVideoTracks()[0] ?? null;
    this.audio = pc.addTransceiver(audio ?? 'audio', { direction: 'sendrecv' });
    this.audios = [this.audio, pc.addTransceiver('audio', { direction: 'recvonly' }), pc.addTransceiver('audio', { direction: 'recvonly' })];
    this.video = pc.addTransceiver(video ?? 'video', { direction: 'sendrecv', sendEncodings: encodings(video) });
    this.videos = [this.video];
    for (let i = 1; i < tiles; i++) this.videos.push(pc.addTransceiver('video', { direction: 'recvonly' }));
    this.presentation = mixed ? null : pc.addTransceiver('video', { direction: 'recvonly' });
    await this.#negotiate({ media: mixed ? 'mix' : 'forward' }, this.#slides);
  }

  // A screen: one picture, sent only.
  async present(stream) {
    const track = stream.getVideoTracks()[0];
    track.contentHint = 'detail';
    this.video = this.pc.addTransceiver(track, { direction: 'sendonly', sendEncodings: [{ maxBitrate: 2_500_000 }] });
    await this.#negotiate({ present: 'send' }, []);
  }

  get #slides() { return this.presentation ? [this.presentation] : []; }

  async #negotiate(extra, slides) {
    for (const transceiver of this.pc.getTransceivers()) prefer(transceiver, transceiver.receiver.track.kind);
    await this.pc.setLocalDescription(await this.pc.createOffer());
    await this.#gathered();
    const sdp = markSlides(this.pc.localDescription.sdp, slides.map((t) => t.mid));
    const answer = await this.session.mine('calls', { call_type: 'WEBRTC', sdp, ...extra });
    this.uuid = answer.call_uuid;
    await this.pc.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    await layer(this.video?.sender);
    await this.session.mine(`calls/${this.uuid}/ack`);
  }

  // The server is ICE lite and finds us by our checks: host candidates are a courtesy, so waiting for them is short.
  #gathered() {
    return new Promise((resolve) => {
      if (this.pc.iceGatheringState === 'complete') return resolve();
      const done = () => { this.pc.removeEventListener('icegatheringstatechange', check); resolve(); };
      const check = () => this.pc.iceGatheringState === 'complete' && done();
      this.pc.addEventListener('icegatheringstatechange', check);
      setTimeout(done, 300);
    });
  }

  // A new network: fresh credentials on the same connection.
  async restart() {
    if (this.restarting || this.pc.signalingState !== 'stable') return;
    this.restarting = true;
    try {
      await this.pc.setLocalDescription(await this.pc.createOffer({ iceRestart: true }));
      await this.#gathered();
      const answer = await this.session.mine(`calls/${this.uuid}/update`, { sdp: markSlides(this.pc.localDescription.sdp, this.#slides.map((t) => t.mid)) });
      await this.pc.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    } catch (error) {
      // An offer that nobody answered would stand in the way of the next one.
      if (this.pc.signalingState === 'have-local-offer') await this.pc.setLocalDescription({ type: 'rollback' }).catch(() => {});
      throw error;
    } finally { this.restarting = false; }
  }

  // Tells the server what size each slot is shown at, in physical pixels; 0×0 = not shown.
  async wish(sizes) {
    const slots = [...this.videos, ...this.#slides].map((transceiver, i) => ({ mid: transceiver.mid, width: sizes[i]?.width ?? 0, height: sizes[i]?.height ?? 0 }));
    const text = JSON.stringify(slots);
    if (text === this.wishes || !this.uuid) return;
    this.wishes = text;
    await this.session.mine(`calls/${this.uuid}/wishes`, { slots }).catch(() => { this.wishes = ''; });
  }

  #stateChanged() {
    const state = this.pc.connectionState;
    this.onState(state);
    if (state === 'disconnected') this.restartTimer ??= setTimeout(() => { this.restartTimer = null; this.restart().catch(() => {}); }, 2500);
    else { clearTimeout(this.restartTimer); this.restartTimer = null; }
  }

  close({ tell = true } = {}) {
    clearTimeout(this.restartTimer);
    this.pc.onconnectionstatechange = null;
    this.pc.close();
    if (tell && this.uuid) this.session.mine(`calls/${this.uuid}/disconnect`).catch(() => {});
  }
}

// Browsers cannot write RFC 4796's a=content, so it is added to the copy that the server reads.
function markSlides(sdp, mids) {
  return sdp.split(/(?=^m=)/m).map((section) => {
    const mid = /^a=mid:(.+)$/m.exec(section)?.[1]?.trim();
    return mids.includes(mid) ? `${section.replace(/\r\n$/, '')}\r\na=content:slides\r\n` : section;
  }).join('');
}
