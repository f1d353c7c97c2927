// The room page: lobby, waiting room, room, farewell. State lives in `room`; the server's events change it, `render` shows it.
import { apply, language, languages, setLanguage, t } from './i18n.js';
import { Refused, Session } from './api.js';
import { Call } from './call.js';
import { Tiles } from './tiles.js';
import { Devices } from './devices.js';
import { Network } from './network.js';

const $ = (id) => document.getElementById(id);
const params = new URLSearchParams(location.search);
const phone = matchMedia('(max-width: 720px)').matches;
const slots = Number(params.get('tiles')) || (phone ? 4 : 8);
const devices = new Devices();
let tiles = null;
let room = null;

function view(name) {
  document.body.dataset.view = name;
  for (const id of ['lobby', 'waiting', 'room', 'ended']) $(id).hidden = id !== name;
}

// ---- lobby

async function lobby() {
  view('lobby');
  const languageSelect = $('language');
  languageSelect.replaceChildren(...Object.entries(languages).map(([tag, label]) => new Option(label, tag, false, tag === language())));
  languageSelect.onchange = () => { setLanguage(languageSelect.value); room?.render(); };
  apply();
  $('name').value = params.get('name') ?? localStorage.getItem('plenum.name') ?? '';
  $('conference').value = params.get('conference') ?? localStorage.getItem('plenum.conference') ?? '1061';
  $('pin').value = params.get('pin') ?? '';
  $('enter').disabled = false;
  try { await devices.open(); } catch (e) { refuse(t('noDevices', { reason: e.message })); }
  await devices.list($('camera'), $('microphone'), $('speaker'));
  $('speaker-row').hidden = !('setSinkId' in HTMLMediaElement.prototype);
  showPreview();
  devices.meter((level) => { $('level').value = level; });
  if (params.get('join') === '1') { params.delete('join'); enter(); }
}

function showPreview() {
  $('preview').srcObject = devices.stream;
  $('preview-off').hidden = devices.cameraOn && Boolean(devices.video);
  $('preview-cam').setAttribute('aria-pressed', devices.cameraOn);
  $('preview-mic').setAttribute('aria-pressed', devices.microphoneOn);
}

function refuse(text) {
  $('refusal').textContent = text;
  $('refusal').hidden = !text;
}

function explain(error) {
  if (!(error instanceof Refused)) return error.message;
  if (error.status === 0) return t('refusedOffline');
  if (error.status === 403 && error.result?.pin) { $('pin').focus(); return t('refusedPin'); }
  if (error.status === 404) return t('refusedConference');
  if (error.status === 503 || error.status === 429) return /full|limit/i.test(String(error.result)) ? t('refusedFull') : t('refusedBusy');
  return t('refusedInput', { reason: typeof error.result === 'string' ? error.result : error.message });
}

async function enter() {
  const name = $('name').value.trim(), conference = $('conference').value.trim();
  if (!name || !conference || room) return;
  refuse('');
  $('enter').disabled = true;
  $('enter').textContent = t('joining');
  const session = new Session(conference);
  try {
    await session.open(name, $('pin').value.trim());
    localStorage.setItem('plenum.name', name);
    localStorage.setItem('plenum.conference', conference);
    room = new Room(session, conference);
    await room.start();
  } catch (error) {
    session.close();
    room?.end();
    room = null;
    view('lobby');
    refuse(explain(error));
  }
  $('enter').disabled = false;
  $('enter').textContent = t('join');
}

// ---- room

class Room {
  constructor(session, conference) {
    Object.assign(this, { session, conference, people: new Map(), seats: [], presentationBy: null, speaking: new Set(), calls: 0, state: 'new' });
    this.started = Date.now();
    this.network = new Network(() => this.call?.pc);
  }

  async start() {
    const s = this.session;
    s.on('participant_sync_begin', () => this.people.clear());
    s.on('participant_create', (p) => this.#person(p));
    s.on('participant_update', (p) => this.#person(p));
    s.on('participant_delete', (p) => { this.people.delete(p.uuid); this.render(); });
    s.on('participant_sync_end', () => this.render());
    s.on('layout', (l) => { if (l.call_uuid && this.call?.uuid && l.call_uuid !== this.call.uuid) return; this.seats = l.slots ?? l.participants ?? []; this.presentationBy = l.presentation ?? null; this.render(); });
    s.on('stage', (list) => { this.speaking = new Set((list ?? []).filter((e) => e.vad > 0).map((e) => e.participant_uuid)); this.render(); });
    s.on('call_disconnected', (e) => this.#callEnded(e));
    s.on('disconnect', (e) => this.end(e?.reason));
    s.on('expired', () => this.end(t('expired')));
    s.on('service_update', () => {});
    s.listen((up) => this.#banner(up ? '' : t('reconnecting')));
    if (s.info.current_service_type === 'waiting_room') { view('waiting'); return; }
    await this.#enterRoom();
  }

  async #enterRoom() {
    if (this.state !== 'new') return;
    this.state = 'entering';
    view('room');
    $('room-name').textContent = this.conference;
    tiles?.root.replaceChildren();
    tiles = new Tiles($('stage'), slots);
    tiles.onsizes = (sizes) => { clearTimeout(this.wishTimer); this.wishTimer = setTimeout(() => this.call?.wish(sizes), 150); };
    await this.#connect();
    this.state = 'in';
    this.clock = setInterval(() => this.#tick(), 1000);
    this.render();
  }

  async #connect() {
    const number = ++this.calls;
    const iceServers = (this.session.info.stun ?? []).map((s) => ({ urls: s.url })).concat((this.session.info.turn ?? []).map((s) => ({ urls: s.urls ?? s.url, username: s.username, credential: s.credential })));
    const call = new Call(this.session, { iceServers, onState: (state) => { if (number === this.calls) this.#callState(state); } });
    this.call = call;
    await call.join({ stream: devices.stream, tiles: slots });
    if (number !== this.calls || this.state === 'ended') return call.close();
    call.videos.forEach((transceiver, i) => Tiles.attach(tiles.slots[i], transceiver.receiver.track));
    Tiles.attach(tiles.presentation, call.presentation.receiver.track);
    $('sounds').replaceChildren(...call.audios.map((transceiver) => sound(transceiver.receiver.track)));
    this.render();
  }

  // The server lost our call (its media plane was restarted, or our network is gone): set it up again as the same participant.
  async #reconnect() {
    if (this.state !== 'in' || this.reconnecting) return;
    this.reconnecting = true;
    this.#banner(t('reconnecting'));
    this.call?.close({ tell: false });
    for (let pause = 300; this.state === 'in'; pause = Math.min(pause * 1.7, 5000)) {
      try { await this.#connect(); break; } catch (e) {
        if (e instanceof Refused && [403, 404].includes(e.status) && e.status !== 0) { this.end(explain(e)); break; }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
    this.reconnecting = false;
    this.#banner('');
  }

  #callState(state) {
    this.#banner(state === 'disconnected' || state === 'failed' ? t('reconnecting') : '');
    if (state === 'failed') this.#reconnect();
  }

  #callEnded({ call_uuid: uuid, reason } = {}) {
    if (uuid === this.share?.uuid) { this.stopShare(false); this.#banner(reason ?? t('presentationTaken'), 4000); return; }
    if (uuid === this.call?.uuid) this.#reconnect();
  }

  #person(p) {
    const before = this.people.get(p.uuid);
    this.people.set(p.uuid, p);
    if (p.uuid === this.session.uuid) {
      if (before?.is_muted === 'NO' && p.is_muted === 'YES') this.#banner(t('muted'), 4000);
      if (p.service_type === 'waiting_room') view('waiting');
      else if (this.state === 'new' && p.service_type === 'conference') this.#enterRoom().catch((e) => this.end(explain(e)));
    }
    this.render();
  }

  describe(uuid) {
    const p = this.people.get(uuid);
    if (!p) return null;
    return { name: p.display_name || p.uri || '', muted: p.is_muted === 'YES', speaking: this.speaking.has(uuid), picture: p.is_video_muted !== true && p.is_video_muted !== 'YES' };
  }

  render() {
    if (!tiles || this.state === 'ended') return;
    const me = this.session.uuid;
    Tiles.attach(tiles.self, devices.cameraOn ? devices.video : null);
    // Slots hold those whose picture flows; whoever has none stands in the tiles that are left, as an avatar.
    const seats = tiles.slots.map((_, i) => this.seats[i] ?? null);
    const unseated = [...this.people.values()].filter((p) => p.uuid !== me && p.has_media && !seats.includes(p.uuid));
    tiles.show({
      seats: seats.map((uuid) => uuid ? this.describe(uuid) : unseated.length ? { ...this.describe(unseated.shift().uuid), picture: false } : null),
      presentation: this.presentationBy && this.presentationBy !== me ? this.describe(this.presentationBy) : null,
      self: { name: t('you'), muted: !devices.microphoneOn, speaking: this.speaking.has(me), picture: devices.cameraOn },
    });
    const link = `${location.origin}/?conference=${encodeURIComponent(this.conference)}`;
    tiles.alone.replaceChildren(text('strong', t('alone')), text('span', t('invite')), text('code', link));
    const people = [...this.people.values()].filter((p) => p.service_type !== 'connecting');
    $('people-count').textContent = people.length;
    $('people-list').replaceChildren(...people.map(personRow));
    $('mic').setAttribute('aria-pressed', devices.microphoneOn);
    $('cam').setAttribute('aria-pressed', devices.cameraOn);
    $('share').setAttribute('aria-pressed', Boolean(this.share));
  }

  async #tick() {
    const s = Math.floor((Date.now() - this.started) / 1000);
    $('clock').textContent = `${String(Math.floor(s / 60)).padStart(2, '0')}:${String(s % 60).padStart(2, '0')}`;
    const report = await this.network.measure();
    if (!report) return;
    $('quality').dataset.level = report.level;
    if (!$('stats').hidden) {
      $('stats-list').replaceChildren(...report.rows.flatMap(([key, value]) => [text('dt', t(key)), text('dd', value)]));
    }
  }

  async toggleShare() {
    if (this.share) return this.stopShare(true);
    let stream;
    try { stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 }, audio: false }); } catch { return; }
    this.share = new Call(this.session);
    this.share.stream = stream;
    stream.getVideoTracks()[0].onended = () => this.stopShare(true);
    try { await this.share.present(stream); } catch (e) { this.stopShare(false); this.#banner(explain(e), 4000); }
    this.render();
  }

  stopShare(tell) {
    const share = this.share;
    this.share = null;
    share?.stream.getTracks().forEach((track) => track.stop());
    share?.close({ tell });
    this.render();
  }

  #banner(message, forMs = 0) {
    clearTimeout(this.bannerTimer);
    $('banner').textContent = message;
    $('banner').hidden = !message;
    if (forMs) this.bannerTimer = setTimeout(() => { $('banner').hidden = true; }, forMs);
  }

  end(reason) {
    if (this.state === 'ended') return;
    this.state = 'ended';
    clearInterval(this.clock);
    this.stopShare(false);
    this.call?.close({ tell: false });
    this.session.close();
    $('sounds').replaceChildren();
    $('banner').hidden = true;
    $('ended-reason').textContent = reason ?? '';
    view('ended');
    room = null;
  }
}

function sound(track) {
  const audio = document.createElement('audio');
  audio.autoplay = true;
  audio.srcObject = new MediaStream([track]);
  devices.route(audio);
  return audio;
}

function text(tag, content) {
  const el = document.createElement(tag);
  el.textContent = content;
  return el;
}

function personRow(p) {
  const li = text('li', '');
  li.append(text('span', p.display_name || p.uri));
  if (p.is_muted === 'YES') li.insertAdjacentHTML('beforeend', '<svg><use href="#i-mic-off"/></svg>');
  if (p.role === 'chair') { const role = text('span', t('host')); role.className = 'role'; li.append(role); }
  return li;
}

// ---- controls

$('join').addEventListener('submit', (e) => { e.preventDefault(); enter(); });
$('again').onclick = () => lobby();
$('leave').onclick = $('leave-waiting').onclick = () => room?.end(t('leftSelf'));
$('mic').onclick = $('preview-mic').onclick = () => { devices.setMicrophone(!devices.microphoneOn); showPreview(); room?.render(); };
$('cam').onclick = $('preview-cam').onclick = () => { devices.setCamera(!devices.cameraOn); showPreview(); room?.render(); };
$('share').onclick = () => room?.toggleShare();
$('quality').onclick = () => toggle('stats', 'quality');
$('people-toggle').onclick = () => toggle('people', 'people-toggle');
for (const kind of ['camera', 'microphone']) {
  $(kind).onchange = async () => {
    try { await devices.choose(kind, $(kind).value); } catch (e) { refuse(t('noDevices', { reason: e.message })); }
    showPreview();
  };
}
$('speaker').onchange = () => devices.setSpeaker($('speaker').value);

function toggle(id, button) {
  $(id).hidden = !$(id).hidden;
  $(button).setAttribute('aria-expanded', !$(id).hidden);
}

addEventListener('pagehide', () => room?.session.close(true));
addEventListener('online', () => room?.call?.restart().catch(() => {}));

// What tests and support tools read; nothing in the page depends on it.
window.plenum = { get room() { return room; }, get tiles() { return tiles; }, devices };
lobby();
