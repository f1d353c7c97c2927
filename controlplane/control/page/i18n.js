// The page's words in four languages. Every key stands in every language and is used; a test of the server checks that.
export const languages = { en: 'English', 'zh-Hans': '简体中文', 'zh-Hant': '繁體中文', ja: '日本語' };

const words = {
  // Lobby
  language: ['Language', '语言', '語言', '言語'],
  name: ['Your name', '您的姓名', '您的姓名', 'お名前'],
  conference: ['Conference', '会议', '會議', '会議'],
  pin: ['PIN', '密码', '密碼', 'PIN'],
  pinOptional: ['Optional', '选填', '選填', '任意'],
  devices: ['Camera and microphone', '摄像头和麦克风', '攝影機與麥克風', 'カメラとマイク'],
  camera: ['Camera', '摄像头', '攝影機', 'カメラ'],
  microphone: ['Microphone', '麦克风', '麥克風', 'マイク'],
  speaker: ['Speaker', '扬声器', '喇叭', 'スピーカー'],
  microphoneLevel: ['Microphone level', '麦克风音量', '麥克風音量', 'マイクの音量'],
  cameraOff: ['Camera is off', '摄像头已关闭', '攝影機已關閉', 'カメラはオフです'],
  cameraNone: ['No camera', '没有摄像头', '沒有攝影機', 'カメラがありません'],
  mixed: ['One picture of everybody', '合成为一个画面', '合成為一個畫面', '全員を一つの映像で表示'],
  join: ['Join', '加入会议', '加入會議', '参加する'],
  joining: ['Joining…', '正在加入…', '正在加入…', '参加しています…'],

  // Room
  share: ['Share screen', '共享屏幕', '分享畫面', '画面を共有'],
  shareShort: ['Share', '共享', '分享', '共有'],
  leave: ['Leave', '离开', '離開', '退出'],
  close: ['Close', '关闭', '關閉', '閉じる'],
  network: ['Network', '网络', '網路', 'ネットワーク'],
  participants: ['Participants', '参会者', '與會者', '参加者'],
  you: ['You', '您', '您', 'あなた'],
  host: ['Host', '主持人', '主持人', '主催者'],
  presentationOf: ['Screen of {name}', '{name} 的屏幕', '{name} 的畫面', '{name} の画面'],
  alone: ['You are the first one here', '您是第一位参会者', '您是第一位與會者', 'まだほかの参加者はいません'],
  invite: ['Invite others with this address', '用此地址邀请他人', '用此網址邀請他人', 'このアドレスで招待できます'],
  copy: ['Copy', '复制', '複製', 'コピー'],
  copied: ['Copied', '已复制', '已複製', 'コピーしました'],
  waitingTitle: ['Waiting for the host', '正在等待主持人', '正在等待主持人', '主催者を待っています'],
  waitingText: ['You will be let in as soon as the host allows it.', '主持人准许后您将自动入会。', '主持人准許後您將自動入會。', '主催者の許可後、自動的に入室します。'],
  reconnecting: ['Connection lost, trying again…', '连接中断，正在重试…', '連線中斷，正在重試…', '接続が切れました。再接続しています…'],
  presentationTaken: ['Another participant is presenting now.', '另一位参会者正在演示。', '另一位與會者正在簡報。', '別の参加者が共有を開始しました。'],
  presentationEnded: ['Your screen is no longer shared.', '您的屏幕已停止共享。', '您的畫面已停止分享。', '画面の共有が終了しました。'],
  soundBlocked: ['Click or tap anywhere to hear the others.', '点击任意处即可收听。', '點按任意處即可聆聽。', '音声を聞くには画面をクリックしてください。'],
  micOff: ['Microphone is off', '麦克风已关闭', '麥克風已關閉', 'マイクはオフです'],

  // Chat
  chat: ['Chat', '聊天', '聊天', 'チャット'],
  chatEmpty: ['Messages are seen by everybody who is here now.', '消息对当前所有参会者可见。', '目前所有與會者都看得到訊息。', 'メッセージは現在の参加者全員に表示されます。'],
  chatPlaceholder: ['Write a message', '输入消息', '輸入訊息', 'メッセージを入力'],
  chatFrom: ['{name}: {text}', '{name}：{text}', '{name}：{text}', '{name}：{text}'],
  send: ['Send', '发送', '傳送', '送信'],

  // What hosts do
  mute: ['Mute {name}', '将 {name} 静音', '將 {name} 靜音', '{name} をミュート'],
  unmute: ['Unmute {name}', '取消 {name} 的静音', '取消 {name} 的靜音', '{name} のミュートを解除'],
  remove: ['Remove {name}', '移出 {name}', '移除 {name}', '{name} を退出させる'],
  removeSure: ['Remove?', '确认移出？', '確認移除？', '退出させる？'],
  admit: ['Let in', '准许入会', '准許入會', '許可'],
  asksToEnter: ['{name} is waiting to be let in.', '{name} 正在等待入会。', '{name} 正在等待入會。', '{name} が入室を待っています。'],
  waiting: ['Waiting', '等待中', '等待中', '待機中'],
  lock: ['Lock: new guests wait', '锁定：新来宾需等待', '鎖定：新來賓須等候', 'ロック：新しいゲストは待機'],
  unlock: ['Unlock: guests may enter', '解锁：来宾可直接入会', '解鎖：來賓可直接入會', 'ロック解除：ゲストは入室可'],
  locked: ['The conference is locked', '会议已锁定', '會議已鎖定', '会議はロックされています'],
  muted: ['You were muted by a host.', '主持人已将您静音。', '主持人已將您靜音。', '主催者によりミュートされました。'],
  mutedStill: ['Only a host can unmute you.', '只有主持人可以取消您的静音。', '只有主持人可以取消您的靜音。', 'ミュートを解除できるのは主催者だけです。'],
  unmuted: ['A host has unmuted you.', '主持人已取消您的静音。', '主持人已取消您的靜音。', '主催者がミュートを解除しました。'],

  // The picture
  picture: ['Picture', '画面', '畫面', '映像'],
  viewOwn: ['What you get', '您收到的画面', '您收到的畫面', '自分への映像'],
  ownSeparate: ['Separate', '分别显示', '個別顯示', '個別'],
  ownMixed: ['One picture', '合成画面', '合成畫面', '合成'],
  ownSeparateHint: ['Everybody comes as a picture of their own.', '每位参会者各有一个画面。', '每位與會者各有一個畫面。', '参加者ごとに映像を受信します。'],
  ownMixedHint: ['The server puts everybody into one picture: easy for weak devices and slow links.', '服务器将所有人合成为一个画面，适合性能较弱的设备和较慢的网络。', '伺服器將所有人合成為一個畫面，適合效能較弱的裝置和較慢的網路。', 'サーバーが全員を一つの映像にまとめます。低性能な端末や遅い回線に向いています。'],
  ownMixedNone: ['The server cannot put everybody into one picture now: you see one person at a time.', '服务器目前无法合成画面：您一次只能看到一位参会者。', '伺服器目前無法合成畫面：您一次只能看到一位與會者。', 'サーバーは現在映像をまとめられません。一度に一人の映像のみ表示されます。'],
  pictureOfAll: ['Picture of the conference', '会议画面', '會議畫面', '会議の映像'],
  audience: ['For whom', '适用对象', '適用對象', '対象'],
  audienceAll: ['Everybody', '所有人', '所有人', '全員'],
  audienceHosts: ['Hosts', '主持人', '主持人', '主催者'],
  audienceGuests: ['Guests', '来宾', '來賓', 'ゲスト'],
  layout: ['Layout', '布局', '版面配置', 'レイアウト'],
  layoutOne: ['Only who speaks', '仅显示发言者', '僅顯示發言者', '発言者のみ'],
  layoutTiles: ['{large} large, {small} small', '{large} 大 {small} 小', '{large} 大 {small} 小', '大 {large}、小 {small}'],
  layoutEqual: ['{n} of the same size', '{n} 个等大画面', '{n} 個等大畫面', '同じ大きさで {n}'],
  layoutGrowsLarge: ['One large, small ones as needed', '一大多小，随人数变化', '一大多小，隨人數變化', '大 1、小は人数に応じて'],
  layoutGrowsEqual: ['Same size, as many as needed', '等大画面，随人数变化', '等大畫面，隨人數變化', '同じ大きさで人数に応じて'],
  slides: ['Shared screen', '共享的屏幕', '分享的畫面', '共有された画面'],
  slidesMain: ['Large', '大画面', '大畫面', 'メイン'],
  slidesBeside: ['Beside', '并排', '並排', '横並び'],
  slidesFull: ['Full', '全屏', '全螢幕', '全面'],
  showNames: ['Names', '姓名', '姓名', '名前'],
  showSpeaker: ['Frame around who speaks', '发言者边框', '發言者邊框', '発言者の枠'],
  showMore: ['How many are not shown', '未显示的人数', '未顯示的人數', '表示されていない人数'],
  fillTiles: ['Crop pictures to fill their place', '裁剪画面以填满位置', '裁剪畫面以填滿位置', '映像を枠いっぱいに切り抜く'],
  leaveSelf: ['Nobody sees themselves', '不向本人显示自己', '不向本人顯示自己', '本人には自分を表示しない'],
  bannerText: ['Text over the picture', '画面上的文字', '畫面上的文字', '映像の上の文字'],
  bannerNone: ['None', '无', '無', 'なし'],
  pictureReset: ['Back to the usual picture', '恢复默认画面', '恢復預設畫面', '標準の映像に戻す'],
  more: ['More for {name}', '{name} 的更多选项', '{name} 的更多選項', '{name} のその他の操作'],
  showFirst: ['Show first', '优先显示', '優先顯示', '優先して表示'],
  volumeOf: ['Volume of {name}', '{name} 的音量', '{name} 的音量', '{name} の音量'],
  volume: ['Volume', '音量', '音量', '音量'],

  // Farewell
  endedLeft: ['You have left the conference', '您已离开会议', '您已離開會議', '会議から退出しました'],
  endedRemoved: ['You were removed', '您已被移出会议', '您已被移出會議', '退出させられました'],
  endedRemovedText: ['A host has removed you from the conference.', '主持人已将您移出会议。', '主持人已將您移出會議。', '主催者によって会議から退出させられました。'],
  endedOver: ['The conference has ended', '会议已结束', '會議已結束', '会議は終了しました'],
  endedOverText: ['A host has ended it for everybody.', '主持人已结束会议。', '主持人已結束會議。', '主催者が会議を終了しました。'],
  endedDeletedText: ['The conference does not exist any more.', '该会议已被删除。', '此會議已被刪除。', 'この会議は削除されました。'],
  endedServer: ['The server is shutting down', '服务器正在关闭', '伺服器正在關閉', 'サーバーが停止します'],
  endedServerText: ['Please join again in a moment.', '请稍后重新加入。', '請稍後重新加入。', 'しばらくしてからもう一度ご参加ください。'],
  endedExpired: ['You were away for too long', '您离开的时间过长', '您離開的時間過長', '長時間接続がありませんでした'],
  endedExpiredText: ['Your connection was lost and your session has ended.', '连接已中断，您的会话已结束。', '連線已中斷，您的工作階段已結束。', '接続が失われ、セッションが終了しました。'],
  endedOther: ['You are no longer in the conference', '您已不在会议中', '您已不在會議中', '会議との接続が終了しました'],
  joinAgain: ['Join again', '重新加入', '重新加入', 'もう一度参加する'],
  home: ['Back', '返回', '返回', '戻る'],

  // Refusals
  refusedPin: ['This PIN is not right. Please try again.', '密码不正确，请重试。', '密碼不正確，請重試。', 'PIN が正しくありません。もう一度入力してください。'],
  refusedPinMissing: ['This conference needs a PIN.', '此会议需要密码。', '此會議需要密碼。', 'この会議には PIN が必要です。'],
  refusedConference: ['This conference does not exist.', '该会议不存在。', '此會議不存在。', 'この会議は存在しません。'],
  refusedFull: ['The conference is full.', '会议人数已满。', '會議人數已滿。', '会議は満員です。'],
  refusedServerFull: ['The server has no room for more participants.', '服务器已无法接纳更多参会者。', '伺服器已無法容納更多與會者。', 'サーバーの参加者数が上限に達しています。'],
  refusedBusy: ['The server is busy. Please try again in a moment.', '服务器繁忙，请稍后再试。', '伺服器忙碌，請稍後再試。', 'サーバーが混み合っています。しばらくしてからお試しください。'],
  refusedTooMany: ['Too many attempts. Please wait a little.', '尝试次数过多，请稍候。', '嘗試次數過多，請稍候。', '試行回数が多すぎます。しばらくお待ちください。'],
  refusedOffline: ['The server cannot be reached.', '无法连接服务器。', '無法連線至伺服器。', 'サーバーに接続できません。'],
  refusedPresenting: ['Guests may not share their screen here.', '此会议中来宾不能共享屏幕。', '此會議中來賓不能分享畫面。', 'この会議ではゲストは画面を共有できません。'],
  refusedHost: ['Only a host can do this.', '只有主持人可以执行此操作。', '只有主持人可以執行此操作。', 'この操作は主催者だけが行えます。'],
  refusedGone: ['This participant has left.', '该参会者已离开。', '該與會者已離開。', 'この参加者は退出しました。'],
  refusedFeature: ['This server does not offer that.', '此服务器不提供该功能。', '此伺服器不提供此功能。', 'このサーバーでは利用できません。'],
  refusedBrowser: ['This browser cannot take part: it has no WebRTC.', '此浏览器不支持 WebRTC，无法参会。', '此瀏覽器不支援 WebRTC，無法參加。', 'このブラウザーは WebRTC に対応していないため参加できません。'],
  refusedInput: ['The server did not accept this: {reason}', '服务器未接受：{reason}', '伺服器未接受：{reason}', 'サーバーが受け付けませんでした：{reason}'],
  problemDenied: ['The browser may not use your camera and microphone. You can still join and listen.', '浏览器未获准使用摄像头和麦克风。您仍可加入收听。', '瀏覽器未獲准使用攝影機和麥克風。您仍可加入聆聽。', 'カメラとマイクの使用が許可されていません。視聴のみで参加できます。'],
  problemNone: ['No camera or microphone was found. You can still join and listen.', '未找到摄像头或麦克风。您仍可加入收听。', '找不到攝影機或麥克風。您仍可加入聆聽。', 'カメラもマイクも見つかりません。視聴のみで参加できます。'],
  problemBusy: ['The camera or microphone is used by another program.', '摄像头或麦克风正被其他程序占用。', '攝影機或麥克風正被其他程式使用。', 'カメラまたはマイクが他のアプリで使用中です。'],
  problemInsecure: ['Open this page over HTTPS to use your camera and microphone.', '请通过 HTTPS 打开此页面以使用摄像头和麦克风。', '請透過 HTTPS 開啟此頁面以使用攝影機和麥克風。', 'カメラとマイクを使うには HTTPS で開いてください。'],
  problemOther: ['The camera or microphone could not be opened: {reason}', '无法打开摄像头或麦克风：{reason}', '無法開啟攝影機或麥克風：{reason}', 'カメラまたはマイクを開けません：{reason}'],

  // Network panel
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
    const label = t(el.dataset.i18nLabel);
    el.setAttribute('aria-label', label);
    el.title = el.dataset.shortcut ? `${label} (${el.dataset.shortcut})` : label;
  }
  for (const el of root.querySelectorAll('[data-i18n-placeholder]')) {
    el.placeholder = t(el.dataset.i18nPlaceholder);
    if (!el.labels?.length) el.setAttribute('aria-label', el.placeholder);
  }
}
