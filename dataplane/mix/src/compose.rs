//! `plenum compose`: a layout rendered from files, one for each participant, in stage order. For designers, tests and benchmarks.

use crate::files::{FileError, Input, Output, read_png};
use crate::fonts;
use crate::layout::{Layout, UnknownLayout};
use crate::scene::{Banner, Edge, Presenting, Scene, SceneSettings, Seat, SeatState};
use clap::{Args, ValueEnum};
use plenum_kernels::{MAX_SIDE, Placement};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

/// Most frames that are rendered.
const MOST_FRAMES: u64 = 1_000_000;
/// Frames that are timed when the command line does not say how many.
const TIMED_FRAMES: u64 = 300;
/// Id of the presentation; participants have 1, 2, 3 and so on.
const PRESENTATION: u64 = 0;

/// What to render.
#[derive(Args, Debug)]
pub struct ComposeArgs {
    /// Layout, large tiles and small ones: 1:0, 4:0, 1:7, 1:21, 2:21 and others; or a Cisco name, e.g. stacked, onePlusN.
    #[arg(long, value_name = "A:B", value_parser = layout_name)]
    layout: String,
    /// Size of the picture; even, at most 8192 a side.
    #[arg(long, value_name = "WxH", default_value = "1280x720")]
    size: Size,
    /// Where it goes: PNG (.png, the last frame) or Y4M (.y4m, every frame).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Name of a participant, one for each input, in their order.
    #[arg(long = "name", value_name = "TEXT")]
    names: Vec<String>,
    /// Without names, borders, `+N`, banner and logo.
    #[arg(long)]
    no_overlay: bool,
    /// Frames to render. Default: 1 for PNG, the longest input's for Y4M. Shorter inputs keep their last picture.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_FRAMES))]
    frames: Option<u64>,
    /// Print what composing a frame takes, in nanoseconds, without reading and writing files.
    #[arg(long)]
    time: bool,
    /// Participants in all, for `+N`. Default: as many as inputs.
    #[arg(long, value_name = "N")]
    total: Option<usize>,
    /// Crop inputs of another shape so that they fill their tiles, instead of fitting them whole.
    #[arg(long)]
    fill: bool,
    /// Which participants speak and have the border: 1 is the first.
    #[arg(long, value_name = "N")]
    speaking: Vec<usize>,
    /// What is shown of a participant, e.g. `3:held`; for all others their pictures.
    #[arg(long = "state", value_name = "N:STATE")]
    states: Vec<State>,
    /// A presentation.
    #[arg(long, value_name = "FILE")]
    present: Option<PathBuf>,
    /// Where the presentation stands.
    #[arg(long, value_enum, default_value_t = Place::Main)]
    presenting: Place,
    /// Text over the picture.
    #[arg(long, value_name = "TEXT")]
    banner: Option<String>,
    /// The banner at the lower edge instead of the upper one.
    #[arg(long)]
    banner_below: bool,
    /// A logo (PNG) at the upper right.
    #[arg(long, value_name = "FILE")]
    logo: Option<PathBuf>,
    /// PNG or Y4M, one for each participant, in stage order. Without any the holding picture is rendered.
    #[arg(value_name = "IN")]
    inputs: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Place {
    /// Instead of the main tile.
    Main,
    /// Beside the main tile.
    Beside,
    /// Over the whole picture.
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Size(usize, usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let good = |side: usize| (2..=MAX_SIDE).contains(&side) && side.is_multiple_of(2);
        match sides {
            Some((width, height)) if good(width) && good(height) => Ok(Size(width, height)),
            _ => Err(format!("a size is WIDTHxHEIGHT, e.g. 1280x720; sides are even, 2 to {MAX_SIDE}")),
        }
    }
}

fn layout_name(name: &str) -> Result<String, UnknownLayout> {
    Layout::named(name, 1).map(|_| name.to_owned()).ok_or(UnknownLayout)
}

#[derive(Clone, Copy, Debug)]
struct State(usize, SeatState);

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<State, String> {
        let parsed = text.split_once(':').and_then(|(n, state)| {
            let state = match state {
                "shown" => SeatState::Shown,
                "audio-only" => SeatState::AudioOnly,
                "camera-off" => SeatState::CameraOff,
                "held" => SeatState::Held,
                _ => return None,
            };
            Some(State(n.parse().ok().filter(|n| *n > 0)?, state))
        });
        parsed.ok_or_else(|| {
            "a state is NUMBER:STATE, e.g. 3:held; one of shown, audio-only, camera-off, held".to_owned()
        })
    }
}

/// Why nothing was rendered.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// No layout of that name.
    #[error(transparent)]
    Layout(#[from] UnknownLayout),
    /// Options contradict each other or the inputs.
    #[error("{0}")]
    Usage(String),
}

/// Renders; returns what is to be printed.
///
/// # Errors
/// [`ComposeError`], with the file or the option and the reason.
pub fn run(args: &ComposeArgs) -> Result<Vec<String>, ComposeError> {
    check(args)?;
    let mut inputs = Vec::new();
    for path in &args.inputs {
        inputs.push(Input::open(path)?);
    }
    let mut presentation = args.present.as_deref().map(Input::open).transpose()?;
    let mut scene = scene(args)?;
    let seats = seats(args);
    // Before the first picture everybody is shown, so that one on hold has a picture to freeze.
    let before = |seat: &Seat<'_>| if seat.state == SeatState::Held { SeatState::Shown } else { seat.state };
    let first: Vec<Seat<'_>> = seats.iter().map(|seat| Seat { state: before(seat), ..*seat }).collect();
    let total = args.total.unwrap_or(seats.len());
    let shared = Seat { id: PRESENTATION, name: "", state: SeatState::Shown, speaking: false };
    scene.present(presentation.is_some().then_some(shared));
    scene.place(&first, total);
    let rate = inputs.iter().chain(&presentation).find_map(Input::rate).unwrap_or((30, 1));
    let mut output = Output::create(&args.out, (args.size.0, args.size.1), rate)?;
    let frames = args.frames.or(args.time.then_some(TIMED_FRAMES)).or(output.is_still().then_some(1));
    let mut times = Vec::new();
    for frame in 0..frames.unwrap_or(MOST_FRAMES) {
        let mut advanced = frame == 0;
        for input in inputs.iter_mut().chain(&mut presentation).filter(|_| frame > 0) {
            advanced |= input.advance()?;
        }
        if !advanced && frames.is_none() {
            break;
        }
        let start = Instant::now();
        for (input, seat) in inputs.iter().zip(&seats) {
            scene.picture(seat.id, &input.picture().view());
        }
        if let Some(input) = &presentation {
            scene.picture(PRESENTATION, &input.picture().view());
        }
        scene.place(&seats, total);
        let picture = scene.render();
        times.push(start.elapsed().as_nanos());
        if !output.is_still() || Some(frame + 1) == frames {
            output.write(picture)?;
        }
    }
    output.finish()?;
    Ok(args.time.then(|| report(args, &mut times)).into_iter().collect())
}

fn check(args: &ComposeArgs) -> Result<(), ComposeError> {
    let inputs = args.inputs.len();
    let usage = |text: String| Err(ComposeError::Usage(text));
    if args.names.len() > inputs {
        return usage(format!("--name is given {} times for {inputs} inputs", args.names.len()));
    }
    if let Some(total) = args.total.filter(|total| *total < inputs) {
        return usage(format!("--total {total} is less than the {inputs} inputs"));
    }
    let numbers = args.speaking.iter().chain(args.states.iter().map(|State(n, _)| n));
    if let Some(n) = numbers.into_iter().find(|n| **n == 0 || **n > inputs) {
        return usage(format!("there is no input {n}: --speaking and --state count from 1 to {inputs}"));
    }
    Ok(())
}

fn scene(args: &ComposeArgs) -> Result<Scene, ComposeError> {
    let layout = Layout::named(&args.layout, args.total.unwrap_or(args.inputs.len())).ok_or(UnknownLayout)?;
    let mut settings = SceneSettings::new(layout, args.size.0, args.size.1);
    let overlay = !args.no_overlay;
    (settings.names, settings.border, settings.plus_n) = (overlay, overlay, overlay);
    settings.placement = if args.fill { Placement::Fill } else { Placement::Letterbox };
    settings.presenting = match args.presenting {
        Place::Main => Presenting::Main,
        Place::Beside => Presenting::Beside,
        Place::Full => Presenting::Full,
    };
    if overlay {
        let edge = if args.banner_below { Edge::Bottom } else { Edge::Top };
        settings.banner = args.banner.clone().map(|text| Banner { text, edge });
        settings.logo = args.logo.as_deref().map(read_png).transpose()?.map(Arc::new);
    }
    let loaded = fonts::load(fonts::DIRECTORIES);
    for package in &loaded.missing {
        eprintln!("plenum compose: warning: not installed: {package}");
    }
    Ok(Scene::new(settings, &loaded.fonts))
}

fn seats(args: &ComposeArgs) -> Vec<Seat<'_>> {
    let seat = |n: usize| Seat {
        id: n as u64,
        name: args.names.get(n - 1).map_or("", String::as_str),
        state: args.states.iter().rfind(|state| state.0 == n).map_or(SeatState::Shown, |state| state.1),
        speaking: args.speaking.contains(&n),
    };
    (1..=args.inputs.len()).map(seat).collect()
}

/// The median, so that a warm-up and an interruption do not count.
fn report(args: &ComposeArgs, times: &mut [u128]) -> String {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    format!(
        "{median} ns/frame: {} at {}x{} from {} inputs, median of {} frames",
        args.layout,
        args.size.0,
        args.size.1,
        args.inputs.len(),
        times.len()
    )
}
