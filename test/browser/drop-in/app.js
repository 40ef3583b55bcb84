// An app as one writes it for P2PCF: everybody calls themselves the same, polling is tuned, peers are simple-peers.
// Its move to this library is two changed lines, marked.
import P2PCF from 'p2pcf-ws'; // was: 'p2pcf'

const query = new URLSearchParams(location.search);

const p2pcf = new P2PCF('MyUsername', query.get('room'), {
  workerUrl: query.get('server'), // was: the address of P2PCF's Worker, which ended in a slash too
  stunIceServers: [],
  turnIceServers: [],
  networkChangePollIntervalMs: 15_000,
  stateExpirationIntervalMs: 120_000,
  stateHeartbeatWindowMs: 30_000,
  fastPollingDurationMs: 10_000,
  fastPollingRateMs: 750,
  slowPollingRateMs: 1500,
  idlePollingAfterMs: 60_000,
  idlePollingRateMs: Number.POSITIVE_INFINITY,
  rtcPeerConnectionOptions: { bundlePolicy: 'max-bundle' },
  rtcPeerConnectionProprietaryConstraints: {},
  sdpTransform: (sdp) => sdp.replace('a=group:BUNDLE', 'a=x-app:transformed\r\na=group:BUNDLE'),
});
window.p2pcf = p2pcf; // for the console

const log = (text) => {
  document.querySelector('#log').appendChild(document.createElement('li')).textContent = text;
};
const onClick = (id, work) => document.querySelector(id).addEventListener('click', work);

let stream = null;
let picture = null;

p2pcf.start();

p2pcf.on('peerconnect', (peer) => {
  log(`connected: ${peer.client_id}`);
  const place = document.createElement('div');
  place.id = peer.id;
  document.querySelector('#peers').append(place);

  if (stream) peer.addStream(stream);

  peer.on('track', (track, from) => {
    log(`track: ${track.kind}`);
    if (track.kind !== 'video') return;
    const video = document.createElement('video');
    video.autoplay = true;
    video.muted = true;
    video.srcObject = from;
    place.replaceChildren(video);
    from.onremovetrack = () => {
      if (from.getVideoTracks().length === 0) video.remove();
    };
  });
  peer.on('data', (data) => log(`data: ${data.byteLength}`));
  peer.on('error', (error) => log(`error: ${error.message}`));
  peer.on('close', () => log('close'));

  p2pcf.send(peer, new TextEncoder().encode(`Hello, you are ${peer.id}`));
});

p2pcf.on('peerclose', (peer) => {
  log(`gone: ${peer.client_id}`);
  document.getElementById(peer.id)?.remove();
});

p2pcf.on('msg', (peer, data) => {
  if (!(data instanceof ArrayBuffer)) log('not an ArrayBuffer');
  log(`${peer.client_id}: ${new TextDecoder().decode(data)}`);
});

document.querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault();
  p2pcf.broadcast(new TextEncoder().encode(document.querySelector('input').value).buffer);
});

onClick('#camera', async () => {
  stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320 } });
  for (const peer of p2pcf.peers.values()) peer.addStream(stream);
});

onClick('#picture', () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 120 });
  const context = canvas.getContext('2d');
  setInterval(() => context.fillRect(0, 0, Math.random() * 160, 120), 50);
  [picture] = canvas.captureStream().getVideoTracks();
  for (const peer of p2pcf.peers.values()) peer.replaceTrack(stream.getVideoTracks()[0], picture, stream);
});

onClick('#camera-again', () => {
  for (const peer of p2pcf.peers.values()) peer.replaceTrack(picture, stream.getVideoTracks()[0], stream);
});

onClick('#quiet', () => {
  for (const peer of p2pcf.peers.values()) peer.removeTrack(stream.getAudioTracks()[0], stream);
});

onClick('#stop', () => {
  for (const peer of p2pcf.peers.values()) peer.removeStream(stream);
});

onClick('#leave', () => p2pcf.destroy());
