// One stay in a conference, from the session to the farewell. The server's events change the state, `render` shows it.
import { $, banner, notice, view } from './dom.js';
import { language, t } from './i18n.js';
import { Refused } from './api.js';
import { explain } from './refusals.js';
import { Call } from './call.js';
import { Tiles } from './tiles.js';
import { Network } from './network.js';
import { People } from './people.js';
import { Chat } from './chat.js';
import { Picture } from './picture.js';

// Between placing tiles and telling the server their sizes: one message for a window that is being dragged.
const settle = 150;

export class Room {
  // `slots`: pictures of single people; `mixed`: one of everybody instead; `roles`: we entered with a PIN, so hosts and guests are told
  // apart. `onend(reason)` is called once, when the stay is over.
  constructor(session, conference, { devices, slots, mixed = false, roles = false, onend }) {
    Object.assign(this, { session, conference, devices, many: slots, mixed, roles, onend });
    Object.assign(this, { people: new Map(), seats: [], presentationBy: null, speaking: new Set(), status: {}, calls: 0, state: 'new' });
    this.started = Date.now();
    this.network = new Network(() => this.call?.pc);
    this.list = new People($('people-list'), (uuid, command, body) => this.#steer(`/participants/${uuid}/${command}`, body));
    this.picture = new Picture({
      read: () => this.session.get('/override_layout').catch(() => null),
      write: (layouts) => this.#steer('/override_layout', { layouts }),
      own: (mixed) => this.setMixed(mixed),
    });
    this.chat = new Chat((text) => this.#steer('/message', { type: 'text/plain', payload: text }, { once: true }));
    this.told = Promise.resolve(false);
  }

  get slots() { return this.mixed ? 1 : this.many; }
  get me() { return this.people.get(this.session.uuid); }
  get host() { return this.me?.role === 'chair'; }
  // Silent because a host wants it so, whatever our own button says.
  get forced() { return this.me?.is_muted === 'YES'; }

  async start() {
    const s = this.session;
    s.on('participant_sync_begin', () => { this.syncing = true; this.people.clear(); });
    s.on('participant_create', (p) => this.#person(p));
    s.on('participant_update', (p) => this.#person(p));
    s.on('participant_delete', (p) => { this.people.delete(p.uuid); this.render(); });
    s.on('participant_sync_end', () => { this.syncing = false; this.render(); });
    s.on('layout', (l) => this.#layout(l));
    s.on('stage', (list) => { this.speaking = new Set((list ?? []).filter((e) => e.vad > 0).map((e) => e.participant_uuid)); this.render(); });
    s.on('service_update', (status) => { this.status = status ?? {}; this.render(); });
    s.on('message', (m) => { if (m) this.chat.add(m, m.uuid === s.uuid); });
    s.on('call_disconnected', (e) => this.#callEnded(e));
    s.on('disconnect', (e) => { s.token = null; this.end(e?.reason); });
    s.on('expired', () => this.end('expired'));
    s.listen((up) => banner(up ? '' : t('reconnecting')));
    if (s.info.current_service_type === 'waiting_room') { view('waiting'); return; }
    await this.#enter();
  }

  async #enter() {
    if (this.state !== 'new') return;
    this.state = 'entering';
    view('room');
    const name = this.session.info.conference_name || this.conference;
    $('room-name').textContent = name;
    document.title = `${name} – Plenum`;
    this.#lay();
    $('link').textContent = `${location.origin}/?conference=${encodeURIComponent(this.conference)}`;
    this.render();
    await this.#connect();
    if (this.state === 'ended') return;
    this.state = 'in';
    this.clock = setInterval(() => this.#tick(), 1000);
    this.tellMute();
    this.render();
  }

  #lay() {
    this.tiles?.close();
    $('stage').classList.toggle('mixed', this.mixed);
    this.tiles = new Tiles($('stage'), $('alone'), this.slots, this.mixed);
    this.tiles.onsizes = (sizes) => { clearTimeout(this.wishTimer); this.wishTimer = setTimeout(() => this.call?.wish(sizes), settle); };
  }

  // One picture of everybody, or single ones: another call, which takes the place of the one before.
  async setMixed(mixed) {
    if (mixed === this.mixed || this.state !== 'in' || this.reconnecting) return;
    const before = this.call;
    this.reconnecting = true;
    Object.assign(this, { mixed, seats: [] });
    this.#lay();
    this.render();
    try { await this.#connect(); } catch (e) {
      notice(explain(e));
      this.call?.close({ tell: false });
      this.mixed = !mixed;
      this.#lay();
      setTimeout(() => this.#reconnect(), 0);
    }
    before?.close({ tell: false });
    this.reconnecting = false;
    this.render();
  }

  async #connect() {
    const number = ++this.calls;
    const { stun, turn } = this.session.info;
    const iceServers = [...(stun ?? []).map((s) => ({ urls: s.url })), ...(turn ?? []).map((s) => ({ urls: s.urls ?? s.url, username: s.username, credential: s.credential }))];
    const call = new Call(this.session, { iceServers, onState: (state) => { if (number === this.calls) this.#callState(state); } });
    this.call = call;
    await call.join({ stream: this.devices.stream, tiles: this.slots, mixed: this.mixed });
    if (number !== this.calls || this.state === 'ended') return call.close();
    call.videos.forEach((transceiver, i) => Tiles.attach(this.tiles.slots[i], transceiver.receiver.track));
    if (call.presentation) Tiles.attach(this.tiles.presentation, call.presentation.receiver.track);
    $('sounds').replaceChildren(...call.audios.map((transceiver) => sound(transceiver.receiver.track, this.devices)));
    // The devices may have changed while the call was being set up.
    for (const kind of ['audio', 'video']) if (call[kind].sender.track !== this.devices[kind]) await this.replace(kind, this.devices[kind]);
    this.render();
  }

  // The server lost our call (its media plane was restarted, or our network is gone): set it up again as the same participant.
  async #reconnect() {
    if (this.state !== 'in' || this.reconnecting) return;
    this.reconnecting = true;
    banner(t('reconnecting'));
    this.call?.close({ tell: false });
    for (let pause = 300; this.state === 'in'; pause = Math.min(pause * 1.7, 5000)) {
      try { await this.#connect(); break; } catch (e) {
        if (e instanceof Refused && e.status === 403) { this.end('expired'); break; }
        if (e instanceof Refused && e.status === 404) { this.end('Conference deleted'); break; }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
    this.reconnecting = false;
    banner('');
  }

  #callState(state) {
    banner(state === 'disconnected' || state === 'failed' ? t('reconnecting') : '');
    if (state === 'failed') this.#reconnect();
  }

  #callEnded({ call_uuid: uuid, reason } = {}) {
    if (this.share && uuid === this.share.uuid) {
      this.stopShare(false);
      notice(t(/presenting/i.test(reason ?? '') ? 'presentationTaken' : 'presentationEnded'));
    } else if (uuid === this.call?.uuid) this.#reconnect();
  }

  #layout(l) {
    if (!l || (l.call_uuid && this.call?.uuid && l.call_uuid !== this.call.uuid)) return;
    this.seats = l.slots ?? l.participants ?? [];
    this.presentationBy = l.presentation ?? null;
    this.drawn = { call: l.call_uuid, mixed: l.mixed };
    this.picture.stirred();
    this.render();
  }

  #person(p) {
    const before = this.people.get(p.uuid);
    this.people.set(p.uuid, p);
    if (p.uuid === this.session.uuid) {
      if (before?.is_muted === 'NO' && p.is_muted === 'YES') notice(t('muted'));
      if (before?.is_muted === 'YES' && p.is_muted === 'NO' && !this.host) notice(t('unmuted'));
      if (this.state === 'new' && p.service_type === 'conference') this.#enter().catch((e) => this.end(explain(e)));
    } else if (this.host && !this.syncing && p.service_type === 'waiting_room' && before?.service_type !== 'waiting_room') {
      notice(t('asksToEnter', { name: p.display_name }));
    }
    this.render();
  }

  #describe(uuid) {
    const p = this.people.get(uuid);
    if (!p) return null;
    return { uuid, name: p.display_name || p.uri || '', muted: p.is_muted === 'YES' || p.is_client_muted === true, speaking: this.speaking.has(uuid), picture: p.is_video_muted !== true };
  }

  render() {
    if (!this.tiles || this.syncing || this.state === 'ended') return;
    const { devices, tiles } = this;
    const me = this.session.uuid;
    Tiles.attach(tiles.self, devices.cameraOn ? devices.video : null);
    // Slots hold those whose picture flows; whoever has none stands in the tiles that are left, as an avatar.
    const seats = tiles.slots.map((_, i) => this.people.has(this.seats[i]) ? this.seats[i] : null);
    const unseated = [...this.people.values()].filter((p) => p.uuid !== me && p.has_media && !seats.includes(p.uuid));
    const others = [...this.people.values()].some((p) => p.uuid !== me && p.service_type === 'conference');
    const silent = this.forced || !devices.microphoneOn;
    // Without a mixer we get what others send, whatever we asked for.
    const unmixed = this.mixed && this.drawn?.mixed === false && this.drawn.call === this.call?.uuid;
    if (unmixed && !this.unmixed) notice(t('ownMixedNone'));
    this.unmixed = unmixed;
    const mixed = this.mixed && !unmixed;
    tiles.show({
      // The mix has everybody, with their names, and what is presented in its one picture.
      seats: mixed ? [others ? { uuid: 'mix', about: t('mixed') } : null] : seats.map((uuid) => uuid ? this.#describe(uuid) : unseated.length ? { ...this.#describe(unseated.shift().uuid), picture: false } : null),
      presentation: !this.mixed && this.presentationBy && this.presentationBy !== me ? this.#describe(this.presentationBy) : null,
      self: { uuid: me, name: t('you'), letters: this.me?.display_name, muted: silent, speaking: this.speaking.has(me), picture: devices.cameraOn },
    });
    this.list.show([...this.people.values()].filter((p) => p.service_type !== 'connecting'), { me, host: this.host, mixed });
    this.roles ||= [...this.people.values()].some((p) => p.role === 'guest');
    this.picture.show({ host: this.host, mixed: this.mixed, unmixed, roles: this.roles, open: !$('picture').hidden });
    $('locked').hidden = !this.status.locked;
    $('locked').title = t('locked');
    $('lock').hidden = !this.host;
    $('lock').textContent = t(this.status.locked ? 'unlock' : 'lock');
    $('lock').setAttribute('aria-pressed', Boolean(this.status.locked));
    $('chat-toggle').hidden = !(this.status.chat_enabled ?? this.session.info.chat_enabled);
    $('mic').setAttribute('aria-pressed', !silent);
    $('cam').setAttribute('aria-pressed', devices.cameraOn);
    $('share').setAttribute('aria-pressed', Boolean(this.share));
  }

  async #tick() {
    const s = Math.floor((Date.now() - this.started) / 1000), two = (n) => String(n).padStart(2, '0');
    $('clock').textContent = `${s >= 3600 ? `${Math.floor(s / 3600)}:` : ''}${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
    const report = await this.network.measure();
    if (!report) return;
    $('stats-toggle').dataset.level = report.level;
    if ($('stats').hidden) return;
    const list = $('stats-list');
    if (list.dataset.language !== language()) list.replaceChildren();
    list.dataset.language = language();
    report.rows.forEach(([key, value], i) => {
      if (!list.children[2 * i]) { list.append(document.createElement('dt'), document.createElement('dd')); list.children[2 * i].textContent = t(key); }
      list.children[2 * i + 1].textContent = value;
    });
  }

  // Asks the server for something; whether it was done.
  async #steer(path, body, options) {
    try { await this.session.post(path, body, options); return true; } catch (e) { notice(explain(e)); return false; }
  }

  lock() { return this.#steer(this.status.locked ? '/unlock' : '/lock'); }

  // Our microphone's button. What a host has silenced, a host alone makes heard again.
  async setMicrophone(on) {
    if (on && this.forced) {
      if (!this.host) return notice(t('mutedStill'));
      if (!await this.#steer(`/participants/${this.session.uuid}/unmute`)) return;
    }
    await this.devices.setMicrophone(on);
    this.tellMute();
    this.render();
  }

  // The others see that we are silent. One request after the other, so that the last state stands.
  tellMute() {
    const muted = !this.devices.microphoneOn;
    this.told = this.told.then(async (before) => {
      if (before === muted || this.state === 'ended') return before;
      try { await this.session.mine(muted ? 'client_mute' : 'client_unmute'); return muted; } catch { return before; }
    });
  }

  // Another track, or none, in the place of the one that we send.
  async replace(kind, track) {
    await this.call?.[kind]?.sender.replaceTrack(track);
    this.render();
  }

  async toggleShare() {
    if (this.share) return this.stopShare(true);
    let stream;
    try { stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 }, audio: false }); } catch { return; }
    if (this.share || this.state !== 'in') return stream.getTracks().forEach((track) => track.stop());
    this.share = new Call(this.session);
    this.share.stream = stream;
    stream.getVideoTracks()[0].onended = () => this.stopShare(true);
    try { await this.share.present(stream); } catch (e) { this.stopShare(false); notice(explain(e)); }
    this.render();
  }

  stopShare(tell) {
    const share = this.share;
    this.share = null;
    share?.stream.getTracks().forEach((track) => track.stop());
    share?.close({ tell });
    this.render();
  }

  // `reason`: a key of refusals.js' farewells, or words. `quietly`: nobody is told, because the start failed.
  end(reason, { quietly = false } = {}) {
    if (this.state === 'ended') return;
    this.state = 'ended';
    clearInterval(this.clock);
    clearTimeout(this.wishTimer);
    this.stopShare(false);
    this.call?.close({ tell: false });
    this.session.close();
    this.tiles?.close();
    this.picture.close();
    $('sounds').replaceChildren();
    banner('');
    notice('');
    document.title = 'Plenum';
    if (!quietly) this.onend(reason);
  }
}

function sound(track, devices) {
  const audio = document.createElement('audio');
  audio.srcObject = new MediaStream([track]);
  devices.route(audio);
  // Browsers may want a touch of the page before anything is heard.
  audio.play().catch((e) => {
    if (e.name !== 'NotAllowedError' || !audio.isConnected) return;
    notice(t('soundBlocked'), 60_000);
    addEventListener('pointerdown', () => { audio.play().catch(() => {}); notice(''); }, { once: true });
  });
  return audio;
}
