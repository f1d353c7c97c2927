// Camera, microphone and speaker: choosing, switching on and off, and the level meter of the lobby.

export class Devices {
  constructor() {
    this.stream = null;
    this.cameraOn = true;
    this.microphoneOn = true;
    this.chosen = { camera: localStorage.getItem('plenum.camera') ?? '', microphone: localStorage.getItem('plenum.microphone') ?? '', speaker: '' };
  }

  get audio() { return this.stream?.getAudioTracks()[0] ?? null; }
  get video() { return this.stream?.getVideoTracks()[0] ?? null; }

  // Opens both; when one is missing or refused, the other alone; throws when neither can be had.
  async open() {
    if (this.stream) return;
    const audio = { deviceId: this.chosen.microphone || undefined, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const wanted = new URLSearchParams(location.search);
    const video = { deviceId: this.chosen.camera || undefined, width: { ideal: Number(wanted.get('width')) || 1280 }, height: { ideal: Number(wanted.get('height')) || 720 }, frameRate: { ideal: 30 } };
    let refusal = new Error('no devices');
    for (const constraints of [{ audio, video }, { audio }, { video }]) {
      try {
        this.stream = await navigator.mediaDevices.getUserMedia(constraints);
        break;
      } catch (e) { refusal = e; }
    }
    this.stream ??= new MediaStream();
    this.cameraOn &&= Boolean(this.video);
    this.microphoneOn &&= Boolean(this.audio);
    if (!this.audio && !this.video) throw refusal;
  }

  async list(camera, microphone, speaker) {
    const all = await navigator.mediaDevices?.enumerateDevices() ?? [];
    const fill = (select, kind, chosen) => {
      select.replaceChildren(...all.filter((d) => d.kind === kind).map((d, i) => new Option(d.label || `${kind} ${i + 1}`, d.deviceId, false, d.deviceId === chosen)));
      select.disabled = select.options.length === 0;
    };
    fill(camera, 'videoinput', this.video?.getSettings().deviceId);
    fill(microphone, 'audioinput', this.audio?.getSettings().deviceId);
    fill(speaker, 'audiooutput', this.chosen.speaker);
  }

  // Another device; a running call keeps its sender, only the track is replaced.
  async choose(kind, deviceId) {
    const constraint = kind === 'camera' ? { video: { deviceId: { exact: deviceId } } } : { audio: { deviceId: { exact: deviceId } } };
    const fresh = (await navigator.mediaDevices.getUserMedia(constraint)).getTracks()[0];
    const old = kind === 'camera' ? this.video : this.audio;
    if (old) { this.stream.removeTrack(old); old.stop(); }
    this.stream.addTrack(fresh);
    fresh.enabled = kind === 'camera' ? this.cameraOn : this.microphoneOn;
    this.chosen[kind] = deviceId;
    localStorage.setItem(`plenum.${kind}`, deviceId);
    const call = window.plenum.room?.call;
    await (kind === 'camera' ? call?.video : call?.audio)?.sender.replaceTrack(fresh);
  }

  setCamera(on) { this.cameraOn = on && Boolean(this.video); if (this.video) this.video.enabled = this.cameraOn; }
  setMicrophone(on) { this.microphoneOn = on && Boolean(this.audio); if (this.audio) this.audio.enabled = this.microphoneOn; }

  setSpeaker(deviceId) {
    this.chosen.speaker = deviceId;
    for (const audio of document.querySelectorAll('#sounds audio')) this.route(audio);
  }

  route(audio) { if (this.chosen.speaker && audio.setSinkId) audio.setSinkId(this.chosen.speaker).catch(() => {}); }

  // Calls `show` with the microphone's level, 0 to 1, while the lobby is shown.
  meter(show) {
    if (!this.audio || this.metering) return;
    this.metering = true;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    context.createMediaStreamSource(this.stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const frame = () => {
      if (document.body.dataset.view !== 'lobby') { this.metering = false; context.close(); return; }
      analyser.getFloatTimeDomainData(samples);
      show(Math.min(1, Math.hypot(...samples) / Math.sqrt(samples.length) * 6));
      requestAnimationFrame(frame);
    };
    frame();
  }
}
