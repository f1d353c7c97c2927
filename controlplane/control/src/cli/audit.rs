//! `plenum audit`: who did what, from the running server.

use super::{Failure, Where, client};
use clap::Args;
use hyper::Method;
use serde_json::Value;

#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    at: Where,
    /// Most entries.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Exactly this account, key or host.
    #[arg(long, value_parser = plain)]
    who: Option<String>,
    /// Exactly this action, e.g. lock.
    #[arg(long, value_parser = plain)]
    action: Option<String>,
    /// Exactly this conference, as it was named.
    #[arg(long, value_parser = plain)]
    conference: Option<String>,
    /// Print the entries as JSON.
    #[arg(long)]
    json: bool,
}

/// What can stand in a query as it is.
fn plain(text: &str) -> Result<String, &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"@.-_".contains(&b);
    if !text.is_empty() && text.bytes().all(good) { Ok(text.to_owned()) } else { Err("letters, digits and @ . - _") }
}

pub(super) fn run(args: &AuditArgs) -> Result<(), Failure> {
    let data = args.at.load()?.data_folder()?;
    let mut filter = String::new();
    for (name, value) in [("who", &args.who), ("action", &args.action), ("conference", &args.conference)] {
        if let Some(value) = value {
            filter.push_str(&format!("&{name}={value}"));
        }
    }
    let mut all: Vec<Value> = Vec::new();
    let mut before = Some(0);
    while let Some(at) = before
        && all.len() < args.limit
    {
        let limit = (args.limit - all.len()).min(1_000);
        let path = format!("/api/plenum/v1/audit?before={at}&limit={limit}{filter}");
        let mut answer: Value = serde_json::from_slice(&client::ask(&data, Method::GET, &path, None)?)?;
        all.extend(answer["audit"].as_array_mut().map(std::mem::take).unwrap_or_default());
        before = answer["next"].as_u64();
    }
    if args.json {
        println!("{}", Value::from(all));
    } else {
        all.iter().for_each(|entry| println!("{}", line(entry)));
    }
    Ok(())
}

fn line(entry: &Value) -> String {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or("-");
    let at = entry["at"].as_u64().unwrap_or_default();
    let (who, via, ip, action) = (text("who"), text("via"), text("ip"), text("action"));
    let (conference, target, detail) = (text("conference"), text("target"), text("detail"));
    format!("{at}  {who} ({via}, {ip})  {action}  {conference}  {target}  {detail}  {}", text("result"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_line_and_filters_never_become_other_ones() {
        let entry = serde_json::json!({"at": 7, "who": "ada", "via": "key", "ip": "192.0.2.1", "action": "lock",
            "conference": "1061", "result": "done"});
        assert_eq!(line(&entry), "7  ada (key, 192.0.2.1)  lock  1061  -  -  done");
        assert!(plain("a&limit=9").is_err() && plain("1061@plenum.local").is_ok());
    }
}
