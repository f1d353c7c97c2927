//! What a Prometheus server demands of `/metrics` (text format 0.0.4), and what `promtool check metrics` complains about.

use std::collections::{BTreeMap, BTreeSet};

/// One sample.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Reads the text; what is wrong with it, if anything.
pub(crate) fn read(text: &str) -> Result<Vec<Sample>, String> {
    let (mut helps, mut kinds) = (BTreeSet::new(), BTreeMap::new());
    let mut samples: Vec<Sample> = Vec::new();
    let mut series = BTreeSet::new();
    let mut family = String::new();
    if !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    for line in text.lines() {
        let wrong = |what: &str| Err(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return wrong("help without text") };
            if help.is_empty() || !helps.insert(name.to_owned()) {
                return wrong("help is empty or comes again");
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("no type") };
            if !["counter", "gauge", "histogram"].contains(&kind) || !helps.contains(name) {
                return wrong("unknown type, or no help before it");
            }
            if (kind == "counter") != name.ends_with("_total") || !name.bytes().all(is_name) {
                return wrong("counters, and nothing else, end in _total; names are snake case");
            }
            if kinds.insert(name.to_owned(), kind.to_owned()).is_some() {
                return wrong("type comes again");
            }
            family = name.to_owned();
        } else {
            let Some(sample) = sample(line) else { return wrong("no sample") };
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.name.strip_suffix(end));
            let histogram = kinds.get(&family).is_some_and(|kind| kind == "histogram");
            if sample.name != family && !(histogram && base == Some(&family)) {
                return wrong("a sample outside of its family");
            }
            if !series.insert((sample.name.clone(), sample.labels.clone())) {
                return wrong("a series comes again");
            }
            if sample.value < 0.0 || sample.value.is_nan() {
                return wrong("a negative number");
            }
            samples.push(sample);
        }
    }
    for (name, _) in kinds.iter().filter(|(_, kind)| *kind == "histogram") {
        histogram(name, &samples)?;
    }
    Ok(samples)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn sample(line: &str) -> Option<Sample> {
    let (key, value) = line.rsplit_once(' ')?;
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().ok()? };
    let (name, labels) = match key.split_once('{') {
        None => (key, ""),
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
    };
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let plain = !value.contains(['"', '\\', '\n']);
        (plain && !name.is_empty() && name.bytes().all(is_name)).then(|| (name.to_owned(), value.to_owned()))
    };
    let labels = labels.split(',').filter(|text| !text.is_empty()).map(pair).collect::<Option<BTreeMap<_, _>>>()?;
    (!name.is_empty() && name.bytes().all(is_name)).then(|| Sample { name: name.to_owned(), labels, value })
}

/// Buckets of every series grow with their bounds, and the last one, `+Inf`, is the count.
fn histogram(name: &str, samples: &[Sample]) -> Result<(), String> {
    let mut series: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples.iter().filter(|s| s.name == format!("{name}_bucket")) {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").ok_or_else(|| format!("{name}: a bucket without le"))?;
        let bound =
            if bound == "+Inf" { f64::INFINITY } else { bound.parse().map_err(|_| format!("{name}: {bound}"))? };
        series.entry(labels).or_default().push((bound, sample.value));
    }
    for (labels, buckets) in series {
        let grows = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = buckets.last().copied().unwrap_or_default();
        let of = |end: &str| samples.iter().find(|s| s.name == format!("{name}_{end}") && s.labels == labels);
        let count = of("count").map(|s| s.value);
        if !grows || last.0.is_finite() || count != Some(last.1) || of("sum").is_none() {
            return Err(format!("{name}{labels:?}: buckets {buckets:?}, count {count:?}"));
        }
    }
    Ok(())
}

#[test]
fn what_prometheus_would_not_take_is_found() {
    let good = "# HELP a_seconds a\n# TYPE a_seconds histogram\na_seconds_bucket{s=\"0\",le=\"0.5\"} 1\n\
                a_seconds_bucket{s=\"0\",le=\"+Inf\"} 2\na_seconds_sum{s=\"0\"} 0.7\na_seconds_count{s=\"0\"} 2\n";
    assert_eq!(read(good).expect("good").len(), 4);
    let twice = format!("{good}a_seconds_count{{s=\"0\"}} 2\n");
    for bad in [
        good.trim_end(),
        &good.replace("le=\"+Inf\"} 2", "le=\"+Inf\"} 0"),
        &good.replace("_count{s=\"0\"} 2", "_count{s=\"0\"} 3"),
        &good.replace("histogram", "counter"),
        &good.replace("# HELP a_seconds a\n", ""),
        &good.replace("s=\"0\"", "s=0"),
        &twice,
        "a 1\n",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
