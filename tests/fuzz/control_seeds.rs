//! Seeds for what the control plane reads: offers, settings, bodies, and the messages of event clients.

use super::Named;

/// Every target of the control plane with its seeds.
pub(super) fn all() -> [(&'static str, Named); 8] {
    [
        ("sdp", sdp_seeds()),
        ("settings", settings_seeds()),
        ("request_json", json_seeds()),
        ("request_form", form_seeds()),
        ("cms_message", message_seeds()),
        ("cms_frames", frames_seeds()),
        ("cms_form", cms_form_seeds()),
        ("cms_xml", xml_seeds()),
    ]
}

fn sdp_seeds() -> Named {
    let offer = |media: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-ufrag:abcd\r\n\
             a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n{media}",
            ["AB"; 32].join(":")
        )
        .into_bytes()
    };
    let video = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
                 a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
    let simulcast = format!("{video}a=rid:h send\r\na=rid:l send\r\na=simulcast:send h;~l\r\n");
    vec![
        ("video", offer(video)),
        ("simulcast", offer(&simulcast)),
        ("chromium", include_bytes!("../../controlplane/sdp/tests/fixtures/chromium_simple.sdp").to_vec()),
        ("simulcast_of_nothing", offer(&format!("{video}a=simulcast:send ;;~,\r\n"))),
        ("rtx_of_itself", offer(&video.replace("apt=96", "apt=97"))),
        ("many_m_lines", offer(&video.repeat(40))),
        ("same_mid_twice", offer(&video.repeat(2))),
        ("data_channel", offer("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=sctp-port:5000\r\n")),
        ("line_without_value", b"v=0\r\nm\r\na=\r\n".to_vec()),
        (
            "numbers_too_large",
            offer("m=video 99999999999 RTP 300 -1\r\na=extmap:99999 x\r\na=ssrc:4294967296 cname:x\r\n"),
        ),
        ("not_utf8", vec![b'v', b'=', 0xff]),
        ("empty", vec![]),
    ]
}

fn settings_seeds() -> Named {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            "several",
            text(
                "listen = [\"127.0.0.1:8443\"]\n[media]\nio = \"auto\"\n[limits]\nsessions = 100\n[cms]\nsockets = 5\n",
            ),
        ),
        ("turn", text("[ice]\nturn = [{ urls = [\"turn:a:1\"], username = \"u\", credential = \"p\" }]\n")),
        ("nat", text("[media]\nadvertised = [\"10.0.0.5=203.0.113.9\", \"::1=10.0.0.1\"]\nshards = 65\n")),
        ("unknown_setting", text("[media]\ncolour = 1\n")),
        ("wrong_type", text("[limits]\nconnections = -1\nbitrate = \"\"\n")),
        ("level", text("[log]\nlevel = \"info,[{}]=,=\"\n")),
        ("deep", format!("a = {}", "[".repeat(2_000)).into_bytes()),
        ("deep_tables", format!("[{}a]", "a.".repeat(2_000)).into_bytes()),
        ("not_utf8", vec![b'[', 0xff, b']']),
    ]
}

fn json_seeds() -> Named {
    vec![
        ("join", br#"{"display_name":"A","HideMe":"yes","n":12,"slots":[{"mid":"0"}],"o":{"a":null}}"#.to_vec()),
        ("same_name_in_other_case", br#"{"a":1,"A":2}"#.to_vec()),
        ("deep", [vec![b'['; 5_000], vec![b']'; 5_000]].concat()),
        ("deep_objects", br#"{"o":"#.repeat(500)),
        ("large_numbers", br#"{"n":1e999,"m":-0.0,"k":18446744073709551616}"#.to_vec()),
        ("half_a_surrogate", br#"{"display_name":"\ud800"}"#.to_vec()),
        ("no_object", b"[1]".to_vec()),
        ("null", b"null".to_vec()),
        ("empty", vec![]),
        ("not_utf8", b"{\"a\":\"\xff\"}".to_vec()),
    ]
}

fn form_seeds() -> Named {
    vec![
        ("check_join", b"joinAccount=1061&participantName=%E4%BC%9A+x&joinPwd=".to_vec()),
        ("broken_escapes", b"a=%&b=%f&c=%zz&d=%2525".to_vec()),
        ("not_utf8_behind_escapes", b"a=%ff%fe".to_vec()),
        ("only_separators", b"&&==&=&".to_vec()),
        ("same_name_in_other_case", b"a=1&A=2".to_vec()),
        ("many_members", b"a=&".repeat(1_000)),
    ]
}

fn message_seeds() -> Named {
    let subscribe = |number: u64, list: &str| {
        let body = format!(r#"{{"messageId":{number},"type":"subscribeRequest","subscriptions":[{list}]}}"#);
        format!(r#"{{"type":"message","message":{body}}}"#)
    };
    let roster = r#"{"index":1,"type":"callRoster","call":"97c771ae-fc2e-4257-b129-30ee818e034b","elements":["name"]}"#;
    let calls = r#"{"index":3,"type":"calls","elements":["name","participants"]}"#;
    let ack =
        |number: u64| format!(r#"{{"type":"messageAck","messageAck":{{"messageId":{number},"status":"success"}}}}"#);
    let story = [subscribe(8, calls), ack(1), ack(2), subscribe(9, &format!("{roster},{calls}")), ack(4)].join("\n");
    let many = [calls; 5].join(",");
    vec![
        ("guide", story.into_bytes()),
        ("never_acknowledged", (subscribe(1, calls) + "\n" + &subscribe(2, "") + "\n").repeat(6).into_bytes()),
        ("too_many", subscribe(1, &many).into_bytes()),
        ("same_index_twice", subscribe(1, &format!("{calls},{}", roster.replace(":1,", ":3,"))).into_bytes()),
        ("no_guid", subscribe(1, &roster.replace("97c7", "x")).into_bytes()),
        ("same_member_twice", br#"{"type":"message","message":{"messageId":1,"messageId":2}}"#.to_vec()),
        ("large_numbers", subscribe(u64::MAX, r#"{"index":18446744073709551616,"type":"calls"}"#).into_bytes()),
        ("deep", [vec![b'['; 5_000], vec![b']'; 5_000]].concat()),
        ("not_utf8", b"{\"type\":\"\xff\"}".to_vec()),
        ("empty", vec![]),
    ]
}

fn frames_seeds() -> Named {
    let mask = [1, 2, 3, 4];
    vec![
        ("text", [&[0x81, 0x83][..], &mask, b"abc"].concat()),
        ("two_bytes_of_length", [&[0x81, 0xfe, 0, 130][..], &mask, &[b'x'; 130]].concat()),
        ("eight_bytes_of_length", [&[0x82, 0xff][..], &[0xff; 8], &mask].concat()),
        ("unmasked", [&[0x89, 0x02][..], b"ab", &[0x8a, 0]].concat()),
        ("fragment", [&[0x01, 0x81][..], &mask, b"a"].concat()),
        ("continuation", vec![0x80, 0]),
        ("half_a_head", vec![0x81]),
        ("empty", vec![]),
    ]
}

fn cms_form_seeds() -> Named {
    vec![
        ("call", b"name=A+%26+B&rxAudioMute=true&importance=3&offset=0&limit=10".to_vec()),
        ("guid", b"movedParticipant=97c771ae-fc2e-4257-b129-30ee818e034b&importance=".to_vec()),
        ("broken_escapes", b"a=%&b=%f&c=%zz".to_vec()),
        ("same_name_twice", b"a=1&a=2".to_vec()),
        ("control_character", b"%00=x".to_vec()),
        ("many_members", (0..70).flat_map(|n| format!("p{n}=1&").into_bytes()).collect()),
        ("not_utf8", b"a=%ff".to_vec()),
    ]
}

fn xml_seeds() -> Named {
    vec![
        ("name", "会议 <A> & \"B\" 'C' \u{202e}".into()),
        ("end_of_element", b"\"/></call><call id=\"".to_vec()),
        ("cdata", b"<![CDATA[x]]><!-- --><?x?>&amp;&#0;".to_vec()),
        ("control_characters", b"\x00\x01\t\r\n\x1f\xef\xbf\xbf".to_vec()),
    ]
}
