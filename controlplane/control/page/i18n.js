// The page's words in four languages. Every key stands in every language; a test of the server checks that.
export const languages = { en: 'English', 'zh-Hans': '简体中文', 'zh-Hant': '繁體中文', ja: '日本語' };

const words = {
  language: ['Language', '语言', '語言', '言語'],
  name: ['Your name', '您的姓名', '您的姓名', 'お名前'],
  conference: ['Conference', '会议', '會議', '会議'],
  pin: ['PIN', '密码', '密碼', 'PIN'],
  pinOptional: ['If the conference has one', '如会议设有密码', '如會議設有密碼', '設定されている場合'],
  devices: ['Camera and microphone', '摄像头和麦克风', '攝影機與麥克風', 'カメラとマイク'],
  camera: ['Camera', '摄像头', '攝影機', 'カメラ'],
  microphone: ['Microphone', '麦克风', '麥克風', 'マイク'],
  speaker: ['Speaker', '扬声器', '喇叭', 'スピーカー'],
  microphoneLevel: ['Microphone level', '麦克风音量', '麥克風音量', 'マイクの音量'],
  cameraOff: ['Camera is off', '摄像头已关闭', '攝影機已關閉', 'カメラはオフです'],
  join: ['Join', '加入会议', '加入會議', '参加する'],
  joining: ['Joining…', '正在加入…', '正在加入…', '参加しています…'],
  share: ['Share screen', '共享屏幕', '分享畫面', '画面を共有'],
  leave: ['Leave', '离开', '離開', '退出'],
  network: ['Network', '网络', '網路', 'ネットワーク'],
  participants: ['Participants', '参会者', '與會者', '参加者'],
  you: ['You', '您', '您', 'あなた'],
  host: ['Host', '主持人', '主持人', '主催者'],
  presentation: ['Presentation', '演示', '簡報', 'プレゼンテーション'],
  presentationOf: ['Screen of {name}', '{name} 的屏幕', '{name} 的畫面', '{name} の画面'],
  alone: ['You are the first one here', '您是第一位参会者', '您是第一位與會者', 'まだほかの参加者はいません'],
  invite: ['Invite others with this address:', '用此地址邀请他人：', '用此網址邀請他人：', 'このアドレスで招待できます：'],
  waitingTitle: ['Waiting for the host', '正在等待主持人', '正在等待主持人', '主催者を待っています'],
  waitingText: ['You will be let in as soon as the host is here.', '主持人到达后您将自动入会。', '主持人到達後您將自動入會。', '主催者が参加すると自動的に入室します。'],
  endedTitle: ['You have left the conference', '您已离开会议', '您已離開會議', '会議から退出しました'],
  joinAgain: ['Join again', '重新加入', '重新加入', 'もう一度参加する'],
  reconnecting: ['Connection lost, trying again…', '连接中断，正在重试…', '連線中斷，正在重試…', '接続が切れました。再接続しています…'],
  refusedPin: ['Please enter the right PIN.', '请输入正确的密码。', '請輸入正確的密碼。', '正しい PIN を入力してください。'],
  refusedConference: ['This conference does not exist.', '该会议不存在。', '此會議不存在。', 'この会議は存在しません。'],
  refusedFull: ['The conference is full.', '会议人数已满。', '會議人數已滿。', '会議は満員です。'],
  refusedBusy: ['The server is busy. Please try again in a moment.', '服务器繁忙，请稍后再试。', '伺服器忙碌，請稍後再試。', 'サーバーが混み合っています。しばらくしてからお試しください。'],
  refusedOffline: ['The server cannot be reached.', '无法连接服务器。', '無法連線至伺服器。', 'サーバーに接続できません。'],
  refusedInput: ['The server did not accept this: {reason}', '服务器未接受：{reason}', '伺服器未接受：{reason}', 'サーバーが受け付けませんでした：{reason}'],
  noDevices: ['No camera or microphone could be opened: {reason}. You can still join and listen.', '无法打开摄像头或麦克风：{reason}。您仍可加入收听。', '無法開啟攝影機或麥克風：{reason}。您仍可加入聆聽。', 'カメラまたはマイクを開けません：{reason}。視聴のみで参加できます。'],
  presentationTaken: ['Another participant is presenting now.', '另一位参会者正在演示。', '另一位與會者正在簡報。', '別の参加者が共有を開始しました。'],
  muted: ['You were muted by a host.', '主持人已将您静音。', '主持人已將您靜音。', '主催者によりミュートされました。'],
  leftSelf: ['You left.', '您已主动离开。', '您已主動離開。', '退出しました。'],
  expired: ['Your session has ended.', '您的会话已结束。', '您的工作階段已結束。', 'セッションが終了しました。'],
  statRtt: ['Round trip', '往返时延', '往返延遲', '往復遅延'],
  statLoss: ['Packet loss', '丢包率', '封包遺失率', 'パケット損失'],
  statDown: ['Received', '接收', '接收', '受信'],
  statUp: ['Sent', '发送', '傳送', '送信'],
  statPicture: ['Main picture', '主画面', '主畫面', 'メイン映像'],
  statPath: ['Path', '路径', '路徑', '経路'],
};

const order = Object.keys(languages);
let current = pick();

function pick() {
  const saved = localStorage.getItem('plenum.language');
  if (saved && languages[saved]) return saved;
  for (const tag of navigator.languages ?? [navigator.language]) {
    const lower = tag.toLowerCase();
    if (lower.startsWith('ja')) return 'ja';
    if (/^zh\b.*(hant|tw|hk|mo)/.test(lower)) return 'zh-Hant';
    if (lower.startsWith('zh')) return 'zh-Hans';
    if (lower.startsWith('en')) return 'en';
  }
  return 'en';
}

export function t(key, values = {}) {
  const text = words[key]?.[order.indexOf(current)] ?? words[key]?.[0] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

export function language() { return current; }

export function setLanguage(tag) {
  if (!languages[tag]) return;
  current = tag;
  localStorage.setItem('plenum.language', tag);
  apply();
}

// Writes the words into the page: data-i18n = text, data-i18n-label = accessible name, data-i18n-placeholder.
export function apply(root = document) {
  document.documentElement.lang = current;
  for (const el of root.querySelectorAll('[data-i18n]')) el.textContent = t(el.dataset.i18n);
  for (const el of root.querySelectorAll('[data-i18n-label]')) {
    el.setAttribute('aria-label', t(el.dataset.i18nLabel));
    el.title = t(el.dataset.i18nLabel);
  }
  for (const el of root.querySelectorAll('[data-i18n-placeholder]')) el.placeholder = t(el.dataset.i18nPlaceholder);
}
