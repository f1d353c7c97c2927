//! `plenum status`: how the running appliance is doing.

use super::{Failure, Where, client};
use clap::Args;
use hyper::Method;
use serde_json::Value;

/// Where the operator API tells it.
const STATUS: &str = "/api/plenum/v1/status";

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    at: Where,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<(), Failure> {
    let data = args.at.load()?.data_folder()?;
    let bytes = client::ask(&data, Method::GET, STATUS, None)?;
    let status: Value = serde_json::from_slice(&bytes)?;
    if args.json {
        println!("{status}");
    } else {
        print!("{}", table(&status));
    }
    Ok(())
}

/// A line for each member, nested ones with a dotted name.
fn table(value: &Value) -> String {
    let mut rows = Vec::new();
    flatten("", value, &mut rows);
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let inner = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| flatten(&inner(key), value, rows)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| flatten(&inner(&i.to_string()), v, rows)),
        Value::String(text) => rows.push((name.to_owned(), text.clone())),
        Value::Null => rows.push((name.to_owned(), "-".into())),
        other => rows.push((name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_line_for_each_fact() {
        let health = serde_json::json!({"status": "ok", "media": {"shards": 2, "boot": null}});
        let mut lines: Vec<String> = table(&health).lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["media.boot    -", "media.shards  2", "status        ok"]);
    }
}
