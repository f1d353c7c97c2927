// Camera, microphone and speaker: choosing, switching on and off, and the level meter of the lobby.
// A camera that is off is really off: its track is stopped, nothing is sent, and the others see a name instead.

export class Devices {
  constructor() {
    this.stream = null;
    this.cameraOn = true;
    this.microphoneOn = true;
    this.has = { camera: true, microphone: true };
    this.chosen = { camera: localStorage.getItem('plenum.camera') ?? '', microphone: localStorage.getItem('plenum.microphone') ?? '', speaker: '' };
    // Told of every track that takes another's place, for a running call: (kind, track or null).
    this.ontrack = () => {};
    this.onchange = () => {};
  }

  get audio() { return this.stream?.getAudioTracks()[0] ?? null; }
  get video() { return this.stream?.getVideoTracks()[0] ?? null; }

  #constraints(kind) {
    const deviceId = this.chosen[kind] || undefined;
    if (kind === 'microphone') return { deviceId, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const wanted = new URLSearchParams(location.search);
    return { deviceId, width: { ideal: Number(wanted.get('width')) || 1280 }, height: { ideal: Number(wanted.get('height')) || 720 }, frameRate: { ideal: 30 } };
  }

  // Opens what is wanted; when one of the two is missing or refused, the other alone. Throws when nothing can be had.
  async open() {
    if (this.stream) return;
    this.stream = new MediaStream();
    const audio = this.#constraints('microphone');
    const video = this.#constraints('camera');
    let refusal = null;
    for (const constraints of this.cameraOn ? [{ audio, video }, { audio }, { video }] : [{ audio }]) {
      try {
        const opened = await navigator.mediaDevices.getUserMedia(constraints);
        for (const track of opened.getTracks()) {
          this.#add(track);
          // The permission may have come only after a call was set up without it.
          await this.ontrack(track.kind, track);
        }
        break;
      } catch (e) { refusal = e; }
    }
    this.cameraOn &&= Boolean(this.video);
    this.microphoneOn &&= Boolean(this.audio);
    if (this.audio) this.audio.enabled = this.microphoneOn;
    if (!this.audio && !this.video && refusal) throw refusal;
  }

  #add(track) {
    this.stream.addTrack(track);
    // Somebody pulled the plug.
    track.onended = () => {
      if (!this.stream?.getTracks().includes(track)) return;
      this.#remove(track);
      if (track.kind === 'video') this.cameraOn = false; else this.microphoneOn = false;
      this.ontrack(track.kind, null);
      this.onchange();
    };
  }

  #remove(track) {
    this.stream?.removeTrack(track);
    track.onended = null;
    track.stop();
  }

  // Lights off: after the conference nothing is captured.
  close() {
    for (const track of this.stream?.getTracks() ?? []) this.#remove(track);
    this.stream = null;
  }

  async list(camera, microphone, speaker) {
    const all = await navigator.mediaDevices?.enumerateDevices() ?? [];
    this.has = { camera: all.some((d) => d.kind === 'videoinput'), microphone: all.some((d) => d.kind === 'audioinput') };
    const fill = (select, kind, chosen) => {
      select.replaceChildren(...all.filter((d) => d.kind === kind).map((d, i) => new Option(d.label || `${i + 1}`, d.deviceId, false, d.deviceId === chosen)));
      select.disabled = select.options.length === 0;
    };
    fill(camera, 'videoinput', this.video?.getSettings().deviceId ?? this.chosen.camera);
    fill(microphone, 'audioinput', this.audio?.getSettings().deviceId ?? this.chosen.microphone);
    fill(speaker, 'audiooutput', this.chosen.speaker);
  }

  // Another device; a running call keeps its sender, only the track is replaced.
  async choose(kind, deviceId) {
    this.chosen[kind] = deviceId;
    localStorage.setItem(`plenum.${kind}`, deviceId);
    if (kind === 'camera' ? this.cameraOn : this.audio) await this.#replace(kind, { exact: deviceId });
  }

  async #replace(kind, deviceId) {
    const constraints = { ...this.#constraints(kind), ...(deviceId && { deviceId }) };
    const opened = await navigator.mediaDevices.getUserMedia(kind === 'camera' ? { video: constraints } : { audio: constraints });
    const fresh = opened.getTracks()[0];
    const old = kind === 'camera' ? this.video : this.audio;
    this.stream ??= new MediaStream();
    if (old) this.#remove(old);
    this.#add(fresh);
    if (kind === 'microphone') { fresh.enabled = this.microphoneOn; this.#stopMeter(); }
    await this.ontrack(fresh.kind, fresh);
    this.onchange();
  }

  async setCamera(on) {
    if (on) {
      this.cameraOn = true;
      try { await this.#replace('camera'); } catch (e) { this.cameraOn = false; throw e; }
      return;
    }
    this.cameraOn = false;
    if (this.video) this.#remove(this.video);
    await this.ontrack('video', null);
  }

  async setMicrophone(on) {
    if (on && !this.audio) await this.#replace('microphone');
    this.microphoneOn = on;
    if (this.audio) this.audio.enabled = on;
  }

  setSpeaker(deviceId) {
    this.chosen.speaker = deviceId;
    for (const audio of document.querySelectorAll('#sounds audio')) this.route(audio);
  }

  route(audio) { if (this.chosen.speaker && audio.setSinkId) audio.setSinkId(this.chosen.speaker).catch(() => {}); }

  // Calls `show` with the microphone's level, 0 to 1, while the lobby is shown.
  meter(show) {
    this.show = show;
    if (!this.audio || this.metering) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    context.createMediaStreamSource(new MediaStream([this.audio])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.metering = context;
    const frame = () => {
      if (this.metering !== context) return;
      if (document.body.dataset.view !== 'lobby') { this.#stopMeter(false); return; }
      analyser.getFloatTimeDomainData(samples);
      show(this.microphoneOn ? Math.min(1, Math.hypot(...samples) / Math.sqrt(samples.length) * 6) : 0);
      requestAnimationFrame(frame);
    };
    frame();
  }

  #stopMeter(again = true) {
    this.metering?.close();
    this.metering = null;
    if (again && this.show && document.body.dataset.view === 'lobby') this.meter(this.show);
  }
}
