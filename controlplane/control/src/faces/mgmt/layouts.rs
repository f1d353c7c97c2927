//! Layouts (MGMT-26 to MGMT-28): the seed's `override_layout` and Pexip's `transform_layout`.

use super::fields::{Bad, Fields};
use super::render::{Dialect, bad, success};
use super::{Ctx, unknown};
use crate::driver::Reply;
use axum::response::Response;
use plenum_model::layout::{LAYOUTS, LayoutAudience, PresentationPlace};
use plenum_model::limits::ACTORS;
use plenum_model::{Command, LayoutEntry, LayoutName, ParticipantId};
use serde_json::{Value, json};

/// MGMT-26. Under `/api/services/` the audience `""` is the guests (B7).
pub(super) async fn override_layout(c: &Ctx, fields: &Fields) -> Response {
    let entries = match entries(fields) {
        Ok(entries) => entries,
        Err(reason) => return bad(&reason),
    };
    let whole = c.dialect == Dialect::Conferences;
    let entries = if whole { everybody_else(entries) } else { entries };
    match c.command(Command::OverrideLayout { entries, whole }).await {
        Ok(Reply::Layouts(active)) => success(active.iter().map(entry_value).collect()),
        Ok(_) => unknown(),
        Err(refusal) => refusal,
    }
}

/// Ours: what hosts and guests have, whether or not it was chosen.
pub(super) async fn in_force(c: &Ctx) -> Response {
    match c.command(Command::Layouts).await {
        Ok(Reply::Layouts(entries)) => success(entries.iter().map(entry_value).collect()),
        Ok(_) => unknown(),
        Err(refusal) => refusal,
    }
}

/// On the alias path `""` is everybody whom no other entry names: alone, it is for hosts as well.
fn everybody_else(mut entries: Vec<LayoutEntry>) -> Vec<LayoutEntry> {
    if let [only] = &entries[..]
        && only.audience == LayoutAudience::Guests
    {
        let hosts = LayoutEntry { audience: LayoutAudience::Hosts, ..only.clone() };
        entries.insert(0, hosts);
    }
    entries
}

fn entries(fields: &Fields) -> Result<Vec<LayoutEntry>, Bad> {
    let list = fields.objects("layouts", 2)?.ok_or("layouts is missing")?;
    list.iter().map(entry).collect()
}

fn entry(fields: &Fields) -> Result<LayoutEntry, Bad> {
    let audience = match fields.text("audience")?.unwrap_or_default().to_ascii_lowercase().as_str() {
        "hosts" | "host" => LayoutAudience::Hosts,
        "" | "guests" => LayoutAudience::Guests,
        other => return Err(format!("audience must be \"hosts\" or \"\", not {other:?}")),
    };
    let actors = fields.texts("actors", ACTORS)?;
    let actors = actors.iter().map(|id| ParticipantId::parse(id).ok_or_else(|| format!("actors: {id:?} is no uuid")));
    let layout = layout_name(&fields.required("layout")?)?;
    Ok(LayoutEntry {
        actors: actors.collect::<Result<_, _>>()?,
        vad_backfill: fields.flag("vad_backfill")?.unwrap_or(true),
        plus_n: on_or_auto(fields, "plus_n")?,
        overlay_text: on_or_auto(fields, "actors_overlay_text")?,
        remove_self: fields.flag("remove_self")?.unwrap_or(false),
        presentation: place(fields)?,
        banner: fields.text("overlay_text")?.unwrap_or_default(),
        indicate_speaker: fields.flag("indicate_speaker")?.unwrap_or(true),
        fill: fields.flag("fill")?.unwrap_or(false),
        ..LayoutEntry::new(audience, layout)
    })
}

/// Ours: where a composed picture has the presentation.
fn place(fields: &Fields) -> Result<PresentationPlace, Bad> {
    let word = fields.text("presentation")?.unwrap_or_else(|| "main".into());
    PresentationPlace::parse(&word).ok_or_else(|| "presentation must be main, beside or full".into())
}

/// Pexip's free text: one, or several in a row.
fn free_text(fields: &Fields) -> Result<String, Bad> {
    const NAME: &str = "free_form_overlay_text";
    match fields.texts(NAME, 8) {
        Ok(texts) => Ok(texts.join("  ")),
        Err(_) => Ok(fields.text(NAME)?.unwrap_or_default()),
    }
}

fn layout_name(name: &str) -> Result<LayoutName, Bad> {
    LayoutName::parse(name).ok_or_else(|| format!("layout must be one of {}", LAYOUTS.join(", ")))
}

fn on_or_auto(fields: &Fields, name: &str) -> Result<bool, Bad> {
    match fields.text(name)?.as_deref() {
        None | Some("auto" | "on" | "") => Ok(true),
        Some("off") => Ok(false),
        Some(_) => Err(format!("{name} must be \"auto\" or \"off\"")),
    }
}

fn entry_value(entry: &LayoutEntry) -> Value {
    let mut value = json!({
        "audience": match entry.audience { LayoutAudience::Hosts => "hosts", LayoutAudience::Guests => "" },
        "actors": entry.actors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "vad_backfill": entry.vad_backfill,
        "layout": entry.layout.as_str(),
        "plus_n": if entry.plus_n { "auto" } else { "off" },
        "actors_overlay_text": if entry.overlay_text { "auto" } else { "off" },
    });
    // Ours: clients that do not use it are answered as ever.
    if entry.remove_self {
        value["remove_self"] = json!(true);
    }
    if entry.presentation != PresentationPlace::Main {
        value["presentation"] = json!(entry.presentation.as_str());
    }
    if !entry.banner.is_empty() {
        value["overlay_text"] = json!(entry.banner);
    }
    if !entry.indicate_speaker {
        value["indicate_speaker"] = json!(false);
    }
    if entry.fill {
        value["fill"] = json!(true);
    }
    value
}

/// Pexip's way to say the same: `{transforms: {layout, host_layout, guest_layout}}`, and our `remove_self` and `fill` for both.
pub(super) async fn transform_layout(c: &Ctx, fields: &Fields) -> Response {
    let read = || -> Result<Vec<LayoutEntry>, Bad> {
        let Some(wanted) = fields.object("transforms")? else { return Ok(Vec::new()) };
        let common = wanted.text("layout")?;
        let mut entries = Vec::new();
        for (name, audience) in [("host_layout", LayoutAudience::Hosts), ("guest_layout", LayoutAudience::Guests)] {
            if let Some(layout) = wanted.text(name)?.or_else(|| common.clone()) {
                entries.push(LayoutEntry {
                    overlay_text: wanted.flag("enable_overlay_text")?.unwrap_or(true),
                    remove_self: wanted.flag("remove_self")?.unwrap_or(false),
                    presentation: place(&wanted)?,
                    banner: free_text(&wanted)?,
                    indicate_speaker: wanted.flag("enable_active_speaker_indication")?.unwrap_or(true),
                    fill: wanted.flag("fill")?.unwrap_or(false),
                    ..LayoutEntry::new(audience, layout_name(&layout)?)
                });
            }
        }
        Ok(entries)
    };
    match read() {
        Ok(entries) => c.done(Command::OverrideLayout { entries, whole: true }).await,
        Err(reason) => bad(&reason),
    }
}
