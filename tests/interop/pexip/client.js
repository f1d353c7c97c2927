// Pexip's own client library, unmodified, in a page: what it is told, and everything that it complains about.
//
// A test evaluates the bundle of this file in a page of the appliance and steers `window.pexip`. Signals of the library are
// recorded in `seen`. `complaints` holds what must stay empty: errors of its log (the library's validators of responses throw
// into it), events that its validators would refuse, events that it has no word for, errors that nobody caught.

import * as api from '@pexip/infinity-api';
import {
  ClientCallType, MAIN_ROOM_ID, createCallSignals, createInfinityClient, createInfinityClientSignals, setLogger,
} from '@pexip/infinity';

const ROOM = alias => `/api/client/v2/conferences/${encodeURIComponent(alias)}`;
const seen = [];
const events = [];
const complaints = [];
const connections = [];

const text = error => error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error);
const complain = (where, error) => complaints.push(`${where}: ${text(error)}`);
addEventListener('error', event => complain('uncaught', event.error ?? event.message));
addEventListener('unhandledrejection', event => complain('unhandled', event.reason));

const error = (meta, message) => complain(message ?? 'log', meta?.error ?? meta);
const silent = () => {};
setLogger({
  fatal: error, error, warn: (meta, message) => seen.push(['warning', `${message}: ${text(meta?.error ?? meta)}`]),
  info: silent, debug: silent, trace: silent, silent, redact: s => s, addRedactPattern: silent,
});

// The library trusts events without looking; its validators of the same things in responses do look.
const answering = result => async () =>
  new Response(JSON.stringify({ status: 'success', result }), { headers: { 'content-type': 'application/json' } });
const asParticipant = data => api.participants({ fetcher: answering([data]), params: { conferenceAlias: 'x' }, host: '' });
const asStatus = data => api.conferenceStatus({ fetcher: answering(data), params: { conferenceAlias: 'x' }, host: '' });
const shaped = shape => async data => {
  for (const [name, type] of Object.entries(shape)) {
    if (typeof data?.[name] !== type) throw new Error(`${name} is no ${type}: ${JSON.stringify(data)}`);
  }
};
const each = check => async list => { for (const one of list) await check(one); };
const nothing = async () => {};
const EVENTS = {
  participant_sync_begin: nothing,
  participant_create: asParticipant,
  participant_update: asParticipant,
  participant_delete: shaped({ uuid: 'string' }),
  participant_sync_end: nothing,
  conference_update: asStatus,
  message_received: shaped({ origin: 'string', type: 'string', payload: 'string', uuid: 'string', direct: 'boolean' }),
  stage: each(shaped({ stage_index: 'number', participant_uuid: 'string', vad: 'number' })),
  layout: shaped({ view: 'string', participants: 'object', requested_layout: 'object' }),
  presentation_start: shaped({ presenter_name: 'string', presenter_uri: 'string', presenter_uuid: 'string' }),
  presentation_stop: nothing,
  call_disconnected: shaped({ call_uuid: 'string', reason: 'string' }),
  fecc: shaped({ action: 'string', movement: 'object', timeout: 'number' }),
  disconnect: shaped({ reason: 'string' }),
};

// A stream of our own beside the library's: an EventSource shows only what somebody listens for.
async function tap(alias, token) {
  const answer = await fetch(`${ROOM(alias)}/events?token=${token}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const field = name => block.split('\n').find(line => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const name = field('event');
      if (!name) continue;
      const data = JSON.parse(field('data'));
      events.push([name, data]);
      await (EVENTS[name] ?? (() => Promise.reject(new Error('the library has no word for it'))))(data)
        .catch(error => complain(`event ${name}`, error));
    }
  }
}

const Original = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Original {
  constructor(...args) { super(...args); connections.push(this); }
};

const signals = createInfinityClientSignals([], { batchScheduleTimeoutMS: 10, batchBufferSize: 10 });
const callSignals = createCallSignals([]);
for (const [name, signal] of [...Object.entries(signals), ...Object.entries(callSignals)]) {
  signal.add(value => seen.push([name, value instanceof MediaStream ? value.id : structuredClone(value ?? null)]));
}
signals.onAuthenticatedWithConference.add(({ token, conferenceAlias }) => {
  tap(conferenceAlias, token).catch(error => seen.push(['tap', text(error)]));
});
const client = createInfinityClient(signals, callSignals);

let stream;
const pexip = window.pexip = {
  client, seen, events, complaints,
  // Enters, with camera and microphone; the status of the answer.
  async join(conferenceAlias, displayName, pin) {
    stream ??= await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
    const answer = await client.call({
      conferenceAlias, displayName, pin, bandwidth: 2000, mediaStream: stream, supportsDirectChat: true,
      callType: ClientCallType.AudioVideoPresentation,
    });
    return answer?.status;
  },
  // How often the library told `name` with a value of which `test` holds.
  told: (name, test = () => true) => seen.filter(([n, value]) => n === name && test(value)).length,
  // The same of the events on the wire.
  heard: (name, test = () => true) => events.filter(([n, data]) => n === name && test(data)).length,
  me: () => client.getMe(MAIN_ROOM_ID),
  people: () => client.getParticipants(MAIN_ROOM_ID),
  person: name => pexip.people().find(p => p.displayName === name),
  uuid: name => pexip.person(name).uuid,
  // Shows a picture that moves as a presentation.
  present() {
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
    const context = canvas.getContext('2d');
    setInterval(() => { context.fillStyle = `hsl(${Date.now() / 10 % 360} 80% 50%)`; context.fillRect(0, 0, 640, 360); }, 50);
    client.present(canvas.captureStream(20));
  },
  // Frames that were decoded, by all connections of this page that are open.
  async frames() {
    let frames = 0;
    for (const connection of connections.filter(c => c.connectionState === 'connected')) {
      for (const s of (await connection.getStats()).values()) if (s.type === 'inbound-rtp') frames += s.framesDecoded ?? 0;
    }
    return frames;
  },
};
