// The in-conference API (MGMT) as this page uses it: a session with its token, requests, and the event stream.

export class Refused extends Error {
  constructor(status, result) {
    super(typeof result === 'string' ? result : `status ${status}`);
    this.status = status;
    this.result = result;
  }
}

export class Session {
  constructor(conference) {
    this.base = `/api/services/${encodeURIComponent(conference)}`;
    this.token = null;
    this.handlers = new Map();
    this.closed = false;
  }

  async open(displayName, pin) {
    const enter = (value) => this.#fetch('/new_session', { method: 'POST', headers: { 'content-type': 'application/json', ...(value ? { pin: value } : {}) }, body: JSON.stringify({ display_name: displayName }) });
    // Where only hosts have a PIN, a guest enters by saying that he has none.
    const result = await enter(pin).catch((e) => { if (!pin && e.result?.guest_pin === 'none') return enter('none'); throw e; });
    Object.assign(this, { token: result.token, uuid: result.participant_uuid, role: result.role, info: result });
    this.#scheduleRefresh(Number(result.expires) || 120);
    return result;
  }

  post(path, body) {
    return this.#fetch(path, { method: 'POST', headers: { 'content-type': 'application/json', token: this.token }, body: JSON.stringify(body ?? {}) });
  }

  get(path) { return this.#fetch(path, { headers: { token: this.token } }); }

  mine(path, body) { return this.post(`/participants/${this.uuid}/${path}`, body); }

  on(event, handler) { this.handlers.set(event, handler); this.source?.addEventListener(event, (e) => this.#deliver(event, e)); }

  listen(onState) {
    this.source?.close();
    // The stream carries the token in its address; a refreshed token keeps it, and a new stream gets the newest one.
    this.source = new EventSource(`${this.base}/events?token=${encodeURIComponent(this.token)}`);
    for (const name of this.handlers.keys()) this.source.addEventListener(name, (e) => this.#deliver(name, e));
    this.source.onopen = () => { this.retry = 500; onState(true); };
    this.source.onerror = () => {
      if (this.closed) return;
      onState(false);
      this.source.close();
      this.retry = Math.min((this.retry ?? 500) * 2, 8000);
      setTimeout(() => this.closed || this.listen(onState), this.retry);
    };
  }

  close(beacon = false) {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.refreshTimer);
    this.source?.close();
    if (!this.token) return;
    if (beacon) navigator.sendBeacon(`${this.base}/end_session?token=${encodeURIComponent(this.token)}`);
    else this.post('/end_session').catch(() => {});
  }

  #deliver(name, e) {
    let data = null;
    try { data = e.data ? JSON.parse(e.data) : null; } catch { return; }
    this.handlers.get(name)?.(data);
  }

  #scheduleRefresh(expires) {
    clearTimeout(this.refreshTimer);
    this.refreshTimer = setTimeout(() => this.#refresh(expires), Math.max(2, expires / 5) * 1000);
  }

  async #refresh(expires) {
    try {
      const result = await this.post('/refresh_session');
      this.token = result.token;
      this.#scheduleRefresh(Number(result.expires) || expires);
    } catch (e) {
      if (this.closed) return;
      if (e.status === 403) this.handlers.get('expired')?.(e);
      else this.refreshTimer = setTimeout(() => this.#refresh(expires), 3000);
    }
  }

  async #fetch(path, init) {
    let response;
    try { response = await fetch(this.base + path, init); } catch { throw new Refused(0, 'offline'); }
    let body = null;
    try { body = await response.json(); } catch { /* an answer without a body is judged by its status */ }
    if (!response.ok || body?.status === 'failed') throw new Refused(response.status, body?.result ?? response.statusText);
    return body?.result;
  }
}
