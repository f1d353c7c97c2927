// The room page: the lobby, the farewell, and what buttons and keys do. The stay in a conference is room.js.
import { $, notice, view } from './dom.js';
import { apply, language, languages, setLanguage, t } from './i18n.js';
import { Session } from './api.js';
import { Devices } from './devices.js';
import { Room } from './room.js';
import { deviceProblem, explain, farewell } from './refusals.js';

const params = new URLSearchParams(location.search);
const phone = matchMedia('(max-width: 720px), (max-height: 480px)').matches;
const touch = matchMedia('(hover: none)').matches;
const slots = Number(params.get('tiles')) || (phone ? 4 : 8);
const devices = new Devices();
let room = null;

// ---- lobby

async function lobby() {
  view('lobby');
  refuse('');
  $('devices').append($('device-fields'));
  $('name').value ||= params.get('name') ?? localStorage.getItem('plenum.name') ?? '';
  $('conference').value ||= params.get('conference') ?? localStorage.getItem('plenum.conference') ?? '1061';
  $('pin').value ||= params.get('pin') ?? '';
  if (params.get('media') === 'mix') $('mixed').checked = true;
  if (!('RTCPeerConnection' in window)) { refuse(t('refusedBrowser')); $('enter').disabled = true; return; }
  $('enter').disabled = false;
  // On a phone the keyboard would cover the page.
  if (!touch) ($('name').value ? $('enter') : $('name')).focus();
  await openDevices();
  if (params.get('join') === '1') { params.delete('join'); enter(); }
}

async function openDevices() {
  problem('');
  try { await devices.open(); } catch (e) { problem(deviceProblem(e)); }
  await devices.list($('camera'), $('microphone'), $('speaker'));
  $('speaker-row').hidden = !('setSinkId' in HTMLMediaElement.prototype);
  showPreview();
  devices.meter((level) => { $('level').value = level; });
}

function showPreview() {
  const video = devices.cameraOn ? devices.video : null;
  if (($('preview').srcObject?.getTracks()[0] ?? null) !== video) $('preview').srcObject = video ? new MediaStream([video]) : null;
  $('preview-off').hidden = Boolean(video);
  $('preview-off').textContent = t(devices.has.camera ? 'cameraOff' : 'cameraNone');
  for (const id of ['preview-cam', 'cam']) { $(id).setAttribute('aria-pressed', devices.cameraOn); $(id).disabled = !devices.has.camera; }
  for (const id of ['preview-mic', 'mic']) { $(id).setAttribute('aria-pressed', devices.microphoneOn); $(id).disabled = !devices.has.microphone; }
  room?.render();
}

function refuse(text) {
  $('refusal').textContent = text;
  $('refusal').hidden = !text;
}

function problem(text) {
  $('device-problem').textContent = text;
  $('device-problem').hidden = !text;
  if (text && room) notice(text);
}

let entering = false;
async function enter() {
  const name = $('name').value.trim(), conference = $('conference').value.trim(), pin = $('pin').value.trim();
  if (!name || !conference || room || entering) return;
  entering = true;
  refuse('');
  $('enter').disabled = true;
  $('enter').textContent = t('joining');
  const session = new Session(conference);
  try {
    // After a farewell the devices are closed.
    if (!devices.stream) await openDevices();
    await session.open(name, pin);
    localStorage.setItem('plenum.name', name);
    localStorage.setItem('plenum.conference', conference);
    $('settings-fields').append($('device-fields'));
    const mixed = $('mixed').checked;
    room = new Room(session, conference, { devices, slots, mixed, roles: Boolean(pin), onend: ended });
    await room.start();
  } catch (error) {
    if (!room) session.close();
    room?.end('', { quietly: true });
    room = null;
    view('lobby');
    $('devices').append($('device-fields'));
    refuse(explain(error, { pin }));
    if (error.status === 403) { $('pin').focus(); $('pin').select(); }
    if (error.status === 404) { $('conference').focus(); $('conference').select(); }
  }
  entering = false;
  $('enter').disabled = false;
  $('enter').textContent = t('join');
}

// ---- farewell

function ended(reason) {
  room = null;
  devices.close();
  panel(null);
  const words = farewell(reason);
  $('ended-title').textContent = words.title;
  $('ended-reason').textContent = words.text;
  $('ended-reason').hidden = !words.text;
  view('ended');
  $('again').focus();
}

// ---- controls

async function camera(on) {
  problem('');
  $('preview-cam').disabled = $('cam').disabled = true;
  try { await devices.setCamera(on); } catch (e) { problem(deviceProblem(e)); }
  showPreview();
}

async function microphone(on) {
  try { await (room ? room.setMicrophone(on) : devices.setMicrophone(on)); } catch (e) { problem(deviceProblem(e)); }
  showPreview();
}

// Opens one side panel and closes the others; null closes all.
function panel(name) {
  for (const button of document.querySelectorAll('[data-panel]')) {
    const open = button.dataset.panel === name;
    $(button.dataset.panel).hidden = !open;
    button.setAttribute('aria-expanded', open);
  }
  room?.render();
  if (name === 'chat') { room?.chat.read(); notice(''); if (!touch) $('chat-text').focus(); }
}

async function copyLink() {
  try { await navigator.clipboard.writeText($('link').textContent); notice(t('copied'), 2500); } catch { getSelection().selectAllChildren($('link')); }
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const open = document.querySelector('[data-panel][aria-expanded="true"]');
  if (event.key === 'Escape' && open) { panel(null); open.focus(); return; }
  if (!room || event.target.closest?.('input, select, textarea')) return;
  if (event.key.toLowerCase() === 'm') microphone($('mic').getAttribute('aria-pressed') !== 'true');
  if (event.key.toLowerCase() === 'v' && !$('cam').disabled) camera(!devices.cameraOn);
}

$('language').replaceChildren(...Object.entries(languages).map(([tag, label]) => new Option(label, tag, false, tag === language())));
$('language').onchange = () => { setLanguage($('language').value); showPreview(); };
$('join').addEventListener('submit', (e) => { e.preventDefault(); enter(); });
$('home').onclick = () => lobby();
$('again').onclick = () => { view('lobby'); enter(); };
$('leave').onclick = $('leave-waiting').onclick = () => room?.end('left');
$('mic').onclick = $('preview-mic').onclick = (e) => microphone(e.currentTarget.getAttribute('aria-pressed') !== 'true');
$('cam').onclick = $('preview-cam').onclick = () => camera(!devices.cameraOn);
$('share').onclick = () => room?.toggleShare();
$('share').hidden = !navigator.mediaDevices?.getDisplayMedia;
$('lock').onclick = () => room?.lock();
$('copy').onclick = copyLink;
for (const button of document.querySelectorAll('[data-panel]')) button.onclick = () => panel(button.getAttribute('aria-expanded') === 'true' ? null : button.dataset.panel);
for (const button of document.querySelectorAll('[data-close]')) button.onclick = () => panel(null);
for (const kind of ['camera', 'microphone']) {
  $(kind).onchange = async () => {
    problem('');
    try { await devices.choose(kind, $(kind).value); } catch (e) { problem(deviceProblem(e)); }
    showPreview();
  };
}
$('speaker').onchange = () => devices.setSpeaker($('speaker').value);
devices.ontrack = (kind, track) => room?.replace(kind, track);
devices.onchange = showPreview;
navigator.mediaDevices?.addEventListener?.('devicechange', () => devices.list($('camera'), $('microphone'), $('speaker')).then(showPreview));

addEventListener('keydown', key);
// A tab that closes says so; one that comes back from the browser's memory has no session any more.
addEventListener('pagehide', () => room?.session.close(true));
addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
addEventListener('online', () => room?.call?.restart().catch(() => {}));

// What tests and support tools read; nothing in the page depends on it.
window.plenum = { get room() { return room; }, get tiles() { return room?.tiles; }, devices };
apply();
lobby();
