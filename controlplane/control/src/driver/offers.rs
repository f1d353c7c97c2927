//! SDP offers: from a request to an answer and a session that media opens.

use super::batch::Pending;
use super::mixing::{gets_mix, wants};
use super::{Driver, Failure, Offer, Reply, lost};
use crate::calls::{self, AnswerContext, CallError, Present, TRACKS_PER_LEG};
use crate::store::LegRecord;
use crate::store::rows::PresentRow;
use plenum_contract as contract;
use plenum_contract::spec::SlotWish;
use plenum_contract::{Kind, SessionSpec};
use plenum_model::{
    Action, By, CallCommand, CallId, Command, ConferenceKey, LegKey, MemberCommand, Outcome, ParticipantId,
    ParticipantKey, Purpose, Refusal, Row,
};

impl Driver {
    pub(super) fn offer(&mut self, offer: Offer, pending: &mut Pending) -> Result<Reply, Failure> {
        let place = self.place(&offer.alias, offer.by)?;
        match offer.call {
            None => self.new_call(place, offer, pending),
            Some(call) => self.change_call(place, call, offer, pending),
        }
    }

    fn new_call(&mut self, place: ConferenceKey, offer: Offer, pending: &mut Pending) -> Result<Reply, Failure> {
        let purpose = match offer.present {
            None => Purpose::Main,
            Some(Present::Send) => Purpose::PresentationSend,
            Some(Present::Receive) => Purpose::PresentationReceive,
        };
        let (participant, _) = self.ask_call(place, &offer, CallCommand::CheckOpen(purpose), pending)?;
        let shard = self.shard_for(place)?;
        let leg = LegKey(self.model.fresh_key());
        let first_track = self.model.fresh_keys(TRACKS_PER_LEG);
        let context = Leg { key: leg, participant, revision: 1, first_track, shard, present: offer.present };
        let spec = self.answered(place, &offer, None, context)?;
        let video = spec.1.media.iter().any(|media| media.kind == Kind::Video);
        let id = CallId(*uuid::Uuid::new_v4().as_bytes());
        self.ask_call(place, &offer, CallCommand::Open { id, leg, purpose, video, fecc: offer.fecc }, pending)?;
        let present = offer.present.map(|present| match present {
            Present::Send => PresentRow::Send,
            Present::Receive => PresentRow::Receive,
        });
        let (sdp, spec) = spec;
        let (wishes, mix, on_hold) = (Vec::new(), offer.mix, false);
        self.legs.insert(leg, LegRecord { spec: spec.clone(), first_track, present, wishes, mix, on_hold });
        pending.command(contract::Command::Session(spec));
        Ok(Reply::Answer { call: id, sdp })
    }

    fn change_call(
        &mut self,
        place: ConferenceKey,
        call: CallId,
        offer: Offer,
        pending: &mut Pending,
    ) -> Result<Reply, Failure> {
        let checked = self.ask_call(place, &offer, CallCommand::Check(call), pending);
        if checked == Err(Refusal::NoSuchCall) {
            return self.reopen(place, call, &offer, pending);
        }
        let (participant, leg) = checked?;
        let leg = leg.ok_or(Refusal::NoSuchCall)?;
        if self.media.hello.is_none() {
            return Err(Failure::Media);
        }
        let record = self.legs.get(leg).cloned().ok_or(Refusal::NoSuchCall)?;
        let context = Leg::of(&record, leg, participant, record.spec.shard);
        let (sdp, spec) = self.answered(place, &offer, Some(&record.spec), context)?;
        let on_hold = is_held(&record, &spec);
        self.legs.insert(leg, LegRecord { spec: spec.clone(), on_hold, ..record });
        pending.rows.insert(Row::Leg(leg, call));
        pending.command(contract::Command::Session(spec));
        self.ask_call(place, &offer, CallCommand::Hold(call, on_hold), pending)?;
        Ok(Reply::Answer { call, sdp })
    }

    /// An ICE restart of a call that ended with a former media plane: the same call again, with the new fingerprint and with
    /// the sources that media had reported.
    fn reopen(
        &mut self,
        place: ConferenceKey,
        call: CallId,
        offer: &Offer,
        pending: &mut Pending,
    ) -> Result<Reply, Failure> {
        let found = self.lost.find(self.clock.now(), call);
        let (owner, purpose, lost) =
            found.map(|(key, purpose, lost)| (key, purpose, lost.clone())).ok_or(Refusal::NoSuchCall)?;
        let (participant, _) = self.ask_call(place, offer, CallCommand::CheckOpen(purpose), pending)?;
        if participant != owner || !lost::is_free(&self.model, owner, purpose) {
            return Err(Refusal::NoSuchCall.into());
        }
        let shard = self.shard_for(place)?;
        let leg = LegKey(lost.record.spec.key.0);
        let context = Leg::of(&lost.record, leg, participant, shard);
        let former = calls::on_new_streams(&lost.record.spec, rand::random());
        let (sdp, spec) = self.answered(place, offer, Some(&former), context)?;
        let peer = |spec: &SessionSpec| (spec.ice.remote_ufrag.clone(), spec.ice.remote_pwd.clone());
        if peer(&spec) == peer(&lost.record.spec) {
            return Err(Refusal::BadValue("media restarted: offer an ICE restart, or a new call".into()).into());
        }
        let open = CallCommand::Open { id: call, leg, purpose, video: lost.video, fecc: lost.fecc };
        self.ask_call(place, offer, open, pending)?;
        let on_hold = is_held(&lost.record, &spec);
        self.legs.insert(leg, LegRecord { spec: spec.clone(), on_hold, ..lost.record });
        pending.command(contract::Command::Session(spec));
        self.ask_call(place, offer, CallCommand::Hold(call, on_hold), pending)?;
        if lost.started {
            self.ask_call(place, offer, CallCommand::Start(call), pending)?;
        }
        Ok(Reply::Answer { call, sdp })
    }

    /// Where a new leg of this conference goes.
    fn shard_for(&mut self, place: ConferenceKey) -> Result<u16, Failure> {
        if self.media.hello.is_none() {
            return Err(Failure::Media);
        }
        let conference = self.model.conference(place).ok_or(Refusal::NoSuchConference)?;
        let shard = self.media.shard_for(&self.legs, conference);
        Ok(shard.ok_or_else(|| Refusal::Limit("limit of media sessions reached".into()))?)
    }

    /// Asks the model for something about a call: whose it is, and its leg.
    fn ask_call(
        &mut self,
        place: ConferenceKey,
        offer: &Offer,
        command: CallCommand,
        pending: &mut Pending,
    ) -> Result<(ParticipantKey, Option<LegKey>), Refusal> {
        self.call_command(place, offer.by, offer.target, command, pending)
    }

    fn call_command(
        &mut self,
        conference: ConferenceKey,
        by: By,
        target: ParticipantId,
        command: CallCommand,
        pending: &mut Pending,
    ) -> Result<(ParticipantKey, Option<LegKey>), Refusal> {
        let command = Command::To { target, command: MemberCommand::Call(command) };
        match pending.take(self.model.apply(self.clock.now(), Action::Do { conference, by, command }))? {
            Outcome::Call { participant, leg } => Ok((participant, leg)),
            _ => Err(Refusal::NoSuchCall),
        }
    }

    fn answered(
        &self,
        place: ConferenceKey,
        offer: &Offer,
        previous: Option<&SessionSpec>,
        leg: Leg,
    ) -> Result<(String, SessionSpec), Failure> {
        let hello = self.media.hello.as_ref().ok_or(Failure::Media)?;
        let shard_info = hello.shards.get(usize::from(leg.shard)).ok_or(Failure::Media)?;
        let conference = self.model.conference(place).ok_or(Refusal::NoSuchConference)?;
        let mixer = self.media.mixer;
        let others = conference.legs().filter(|other| *other != leg.key).filter_map(|other| self.legs.get(other));
        let others: Vec<_> = others.map(|record| (&record.spec, mixer && wants(record))).collect();
        let forwarded = others.iter().filter(|(_, mixed)| !mixed).map(|(spec, _)| *spec);
        let codecs = match mixer {
            true => calls::ordered_codecs(&self.settings.codecs, forwarded),
            false => calls::usable_codecs(&self.settings.codecs, &[], forwarded),
        };
        let wider = calls::with_phones(&codecs);
        let choice = self.legs.get(leg.key).map_or(offer.mix, |record| record.mix);
        let context = AnswerContext {
            leg: contract::LegKey(leg.key.0),
            participant: contract::ParticipantKey(leg.participant.0),
            revision: leg.revision,
            first_track: contract::TrackKey(leg.first_track),
            shard: leg.shard,
            shard_info,
            fingerprints: &hello.fingerprints,
            seed: rand::random(),
            cname: &format!("plenum-{:x}", leg.key.0),
            in_step: false,
            codecs: &codecs,
            present: leg.present,
            max_bitrate: self.settings.max_bitrate.into_iter().chain(offer.max_bitrate).min(),
            max_media: hello.limits.media_per_session,
        };
        let answer = |context: &AnswerContext<'_>| match previous {
            None => calls::answer(&offer.sdp, context),
            Some(previous) => calls::update(&offer.sdp, previous, context),
        };
        // Phones may have none of the conference's codecs of sound: theirs is made for them.
        let (context, first) = match answer(&context) {
            Err(CallError::NothingInCommon(_)) if mixer => {
                let context = AnswerContext { codecs: &wider, ..context };
                let answer = answer(&context);
                (context, answer)
            }
            first => (context, first),
        };
        let mut made = first?;
        let mixed = mixer && gets_mix(&made.spec, choice);
        calls::check_decodable((&made.spec, mixed), others.into_iter(), mixer)?;
        if mixed {
            // The same seed: nothing but the streams' names differs.
            made = answer(&AnswerContext { in_step: true, ..context })?;
        }
        Ok((made.sdp, made.spec))
    }

    pub(super) fn wishes(
        &mut self,
        alias: &str,
        by: By,
        target: ParticipantId,
        call: CallId,
        slots: Vec<SlotWish>,
        pending: &mut Pending,
    ) -> Result<Reply, Failure> {
        let place = self.place(alias, by)?;
        let (_, leg) = self.call_command(place, by, target, CallCommand::Check(call), pending)?;
        let leg = leg.ok_or(Refusal::NoSuchCall)?;
        let record = self.legs.get(leg).ok_or(Refusal::NoSuchCall)?;
        let known =
            |wish: &SlotWish| record.spec.media.iter().any(|media| media.mid == wish.mid && media.slot.is_some());
        let slots: Vec<SlotWish> = slots.into_iter().filter(known).collect();
        if record.wishes == slots {
            return Ok(Reply::Done);
        }
        self.legs.wish(leg, slots);
        pending.rows.insert(Row::Leg(leg, call));
        pending.sight.insert(leg);
        Ok(Reply::Done)
    }
}

/// Whether a call is on hold with its next session: its owner received something and offers to receive nothing any more (RFC 3264 section 8.4),
/// until they do again. Who never received anything only sends. An address of 0.0.0.0 says nothing: with ICE it stands for one that is not known yet.
fn is_held(record: &LegRecord, spec: &SessionSpec) -> bool {
    let receives = |spec: &SessionSpec| spec.media.iter().any(|media| media.slot.is_some());
    record.present.is_none() && !receives(spec) && (record.on_hold || receives(&record.spec))
}

/// The leg that an answer is for.
struct Leg {
    key: LegKey,
    participant: ParticipantKey,
    revision: u64,
    first_track: u64,
    shard: u16,
    present: Option<Present>,
}

impl Leg {
    /// The next revision of a leg that was there.
    fn of(record: &LegRecord, key: LegKey, participant: ParticipantKey, shard: u16) -> Leg {
        let present = record.present.map(|present| match present {
            PresentRow::Send => Present::Send,
            PresentRow::Receive => Present::Receive,
        });
        Leg { key, participant, revision: record.spec.revision + 1, first_track: record.first_track, shard, present }
    }
}
