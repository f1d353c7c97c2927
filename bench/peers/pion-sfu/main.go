// A small selective forwarding unit on Pion, as its "broadcast" example makes one: the peer that plenum-bench compares with.
//
// POST /publish?room=R and POST /view?room=R take an SDP offer and answer it. Everything a room's publisher sends is written to one
// local track of its kind, which every viewer of the room has. Interceptors are Pion's defaults: NACK both ways, reports, TWCC.
// Key-frame requests of viewers go to the publisher, at most one in half a second.
//
// Built with Debian's packages: GO111MODULE=off GOPATH=/usr/share/gocode go build
package main

import (
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v3"
)

// throttle is the least time between two key-frame requests of a room.
const throttle = 500 * time.Millisecond

type room struct {
	audio, video *webrtc.TrackLocalStaticRTP

	mutex     sync.Mutex
	publisher *webrtc.PeerConnection
	camera    webrtc.SSRC
	asked     time.Time
}

type server struct {
	api   *webrtc.API
	mutex sync.Mutex
	rooms map[string]*room
	// Connections are kept for the life of the program.
	connections []*webrtc.PeerConnection
}

func main() {
	address := flag.String("listen", "127.0.0.1:8089", "address for signalling; media uses its IP")
	flag.Parse()
	api, err := newAPI(*address)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{api: api, rooms: map[string]*room{}}
	http.HandleFunc("/publish", s.answer(s.publish))
	http.HandleFunc("/view", s.answer(s.view))
	log.Fatal(http.ListenAndServe(*address, nil))
}

func newAPI(address string) (*webrtc.API, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	interceptors := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, interceptors); err != nil {
		return nil, err
	}
	settings := webrtc.SettingEngine{}
	settings.SetLite(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetIPFilter(func(ip net.IP) bool { return ip.Equal(net.ParseIP(host)) })
	if err := settings.SetAnsweringDTLSRole(webrtc.DTLSRoleServer); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(
		webrtc.WithMediaEngine(media),
		webrtc.WithInterceptorRegistry(interceptors),
		webrtc.WithSettingEngine(settings),
	), nil
}

// room returns the room of this name, and makes it when it is not there.
func (s *server) room(name string) (*room, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if r, ok := s.rooms[name]; ok {
		return r, nil
	}
	audio, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", name)
	if err != nil {
		return nil, err
	}
	video, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", name)
	if err != nil {
		return nil, err
	}
	r := &room{audio: audio, video: video}
	s.rooms[name] = r
	return r, nil
}

// answer wraps a handler that fits a connection into a room with the exchange of descriptions.
func (s *server) answer(join func(*room, *webrtc.PeerConnection) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sdp, err := s.exchange(r, join)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, sdp)
	}
}

func (s *server) exchange(r *http.Request, join func(*room, *webrtc.PeerConnection) error) (string, error) {
	offer, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return "", err
	}
	place, err := s.room(r.URL.Query().Get("room"))
	if err != nil {
		return "", err
	}
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", err
	}
	s.mutex.Lock()
	s.connections = append(s.connections, pc)
	s.mutex.Unlock()
	if err := join(place, pc); err != nil {
		return "", err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer)}); err != nil {
		return "", err
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", err
	}
	<-gathered
	return pc.LocalDescription().SDP, nil
}

func (s *server) publish(r *room, pc *webrtc.PeerConnection) error {
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		local := r.audio
		if track.Kind() == webrtc.RTPCodecTypeVideo {
			local = r.video
			r.mutex.Lock()
			r.publisher, r.camera = pc, track.SSRC()
			r.mutex.Unlock()
		}
		forward(track, local)
	})
	return nil
}

// forward copies packets until the publisher goes.
func forward(track *webrtc.TrackRemote, local *webrtc.TrackLocalStaticRTP) {
	buffer := make([]byte, 1500)
	for {
		n, _, err := track.Read(buffer)
		if err != nil {
			return
		}
		// A viewer that went away is no reason to stop.
		if _, err := local.Write(buffer[:n]); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			log.Print(err)
			return
		}
	}
}

func (s *server) view(r *room, pc *webrtc.PeerConnection) error {
	for _, track := range []*webrtc.TrackLocalStaticRTP{r.audio, r.video} {
		sender, err := pc.AddTrack(track)
		if err != nil {
			return err
		}
		go r.listen(sender)
	}
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			r.askKeyFrame()
		}
	})
	return nil
}

// listen reads a viewer's RTCP: interceptors see it only then.
func (r *room) listen(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, packet := range packets {
			switch packet.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				r.askKeyFrame()
			}
		}
	}
}

func (r *room) askKeyFrame() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.publisher == nil || time.Since(r.asked) < throttle {
		return
	}
	r.asked = time.Now()
	request := []rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(r.camera)}}
	if err := r.publisher.WriteRTCP(request); err != nil {
		log.New(os.Stderr, "", 0).Print(err)
	}
}
