// What a viewer of the mix sees and hears, as `window.look`. Called with the publishers' colours, as red, green and blue, and their tones in Hz.
// Every decoded frame is looked at as it comes, whether or not it is drawn on the screen: a busy machine draws fewer than it decodes.
async (colours, tones) => {
  const call = window.plenum.room.call, people = window.plenum.room.people;
  const canvas = new OffscreenCanvas(320, 180), pen = canvas.getContext('2d', { willReadFrequently: true });
  const look = { publishers: colours.length, waiting: [], points: [], frames: 0, gap: 0, main: 0, watched: null };
  // The longest time between two frames since `gap` was set to 0; with `main`, between two that show this publisher in the main tile.
  let before = performance.now();

  // Which publisher's colour is at this point of the picture, as shares of width and height; 0: nobody's. What lies around avatars is dark.
  const who = ([x, y]) => {
    const seen = pen.getImageData(x * 320, y * 180, 1, 1).data;
    const far = colours.map((c) => Math.abs(c[0] - seen[0]) + Math.abs(c[1] - seen[1]) + Math.abs(c[2] - seen[2]));
    const near = far.indexOf(Math.min(...far));
    return Math.max(...seen.slice(0, 3)) > 95 && far[near] < 120 ? near + 1 : 0;
  };
  look.who = who;
  look.pixel = ([x, y]) => [...pen.getImageData(x * 320, y * 180, 1, 1).data.slice(0, 3)];
  look.tiles = () => look.points.map(who);
  // What the server says of the tiles: publisher by publisher, 0 where none stands.
  look.told = () => look.points.map((_, n) => Number(/^Publisher (\d+)$/.exec(people.get(window.plenum.room.seats[n])?.display_name)?.[1] ?? 0));
  // Why tiles do not show whom they should; null: they do. Of the publishers in `among` each stands in one tile. As many tiles are taken as there are
  // publishers for them, one perhaps by somebody else. Who stands nowhere is not seen.
  look.wrong = (among) => {
    const seen = look.tiles(), told = look.told(), taken = look.points.map((_, n) => Boolean(window.plenum.room.seats[n]));
    const count = (list) => list.filter(Boolean).length, most = Math.min(look.publishers, told.length);
    const right = told.every((n, i) => n ? n === seen[i] : taken[i] || !seen[i])
      && among.every((n) => told.filter((m) => m === n).length === 1)
      && count(taken) >= most && count(told) >= most - 1;
    return right ? null : { seen, told, taken };
  };

  const frames = new MediaStreamTrackProcessor({ track: call.videos[0].receiver.track }).readable.getReader();
  (async () => {
    for (let next; !(next = await frames.read()).done;) {
      const frame = next.value, now = performance.now();
      pen.drawImage(frame, 0, 0, 320, 180);
      look.frames += 1;
      if (!look.main || who(look.points[0]) === look.main) {
        look.gap = Math.max(look.gap, now - before);
        before = now;
      }
      watch(frame.timestamp);
      frame.close();
      look.waiting.splice(0).forEach((go) => go());
    }
  })();

  const sound = new AudioContext({ sampleRate: 48000 }), ear = sound.createAnalyser(), quiet = sound.createGain();
  [ear.fftSize, ear.smoothingTimeConstant, quiet.gain.value] = [8192, 0, 0];
  for (const t of call.audios) sound.createMediaStreamSource(new MediaStream([t.receiver.track])).connect(ear);
  ear.connect(quiet).connect(sound.destination);
  const bins = new Float32Array(ear.frequencyBinCount);
  // How loud a tone is, in dB.
  look.level = (hz) => {
    ear.getFloatFrequencyData(bins);
    const at = Math.round(hz * 8192 / 48000);
    return Math.max(...bins.slice(at - 1, at + 2));
  };
  // From now on: how loud a tone has been at most, as `look.most`.
  look.listens = (hz) => { look.most = -Infinity; setInterval(() => { look.most = Math.max(look.most, look.level(hz)); }, 20); return true; };
  // Whose tone sounds alone; 0: nobody's.
  look.loud = () => {
    const levels = tones.map(look.level), best = Math.max(...levels);
    return best > -40 && levels.filter((l) => l > best - 15).length === 1 ? levels.indexOf(best) + 1 : 0;
  };
  // In which codec the picture comes.
  look.codec = async () => {
    const all = await call.pc.getStats();
    return all.get([...all.values()].find((s) => s.type === 'inbound-rtp' && s.mid === call.video.mid)?.codecId)?.mimeType;
  };
  // By how many ms the picture that is played is of a later moment than the sound that is played, as the browser says; null: it does not know.
  look.lips = async () => {
    const all = [...(await call.pc.getStats()).values()];
    const [picture, voice] = [call.video, call.audio].map((t) => all.find((s) => s.type === 'inbound-rtp' && s.mid === t.mid)?.estimatedPlayoutTimestamp);
    return picture && voice ? picture - voice : null;
  };
  // The id of the stream that a sound or picture belongs to.
  look.stream = (kind) => {
    const sections = call.pc.remoteDescription.sdp.split(/^m=/m);
    const own = new RegExp(`^a=mid:${call[kind].mid}$`, 'm');
    return /^a=msid:(\S+)/m.exec(sections.find((section) => own.test(section)))?.[1];
  };
  // What `lips` says of so many pictures, one in each six.
  look.lipsOf = async (count) => {
    const seen = [];
    while (seen.length < count) {
      for (let n = 0; n < 6; n++) await new Promise((go) => look.waiting.push(go));
      const apart = await look.lips();
      if (apart !== null) seen.push(apart);
    }
    return seen.sort((a, b) => a - b);
  };
  look.hum = async (hz) => {
    const tone = sound.createOscillator(), gain = sound.createGain(), out = sound.createMediaStreamDestination();
    [tone.frequency.value, gain.gain.value] = [hz, 0.3];
    tone.connect(gain).connect(out);
    tone.start();
    await call.audio.sender.replaceTrack(out.stream.getAudioTracks()[0]);
  };

  // From now on: the frames in which this publisher was first heard and first seen in the main tile, and when (Unix time in ms).
  look.watch = (number) => { look.watched = { number, heard: null, seen: null }; return true; };
  const watch = (timestamp) => {
    const { watched } = look;
    if (!watched || watched.seen && watched.heard) return;
    const here = { frame: look.frames, media: timestamp / 1000, at: Date.now() };
    if (!watched.heard && look.loud() === watched.number) watched.heard = here;
    if (!watched.seen && who(look.points[0]) === watched.number) watched.seen = here;
  };

  window.look = look;
  // It has nothing to show or say of its own.
  await call.audio.sender.replaceTrack(null);
  await call.video.sender.replaceTrack(null);
}
