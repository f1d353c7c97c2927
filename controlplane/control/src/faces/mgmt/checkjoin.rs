//! The join check (MGMT-1, MGMT-2): does this account exist, does this password fit, and where to go on.

use super::fields::Fields;
use crate::driver::{Failure, Reply, Request as Ask};
use crate::http::limiter::{Kind, WRONG_GUESS};
use crate::http::{App, peer, read_body, too_many};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use plenum_model::{Refusal, Role, Settings};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const ACCOUNT: usize = 60;
const PASSWORD: usize = 15;
const NAME: usize = 50;

struct Check {
    account: String,
    password: String,
    name: String,
}

pub(super) async fn check_join(State(app): State<App>, request: Request) -> Response {
    let ip = peer(&request).ip;
    if !app.limiter.allow(ip, Kind::Join) {
        return too_many();
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let form = kind.starts_with("application/x-www-form-urlencoded");
    let body = match read_body(request.into_body()).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let fields = if form { Fields::form(&body) } else { Fields::json(&body) };
    let check = match fields.and_then(|fields| read(&fields)) {
        Ok(check) => check,
        Err(reason) => return frame("400", Value::Null, &reason),
    };
    let asked = Ask::Check { alias: check.account.clone(), pin: Some(check.password.clone()) };
    match app.driver.ask(asked).await {
        Ok(Reply::Checked { role, settings }) => frame("200", results(&app, &check, role, &settings), ""),
        Err(Failure::Refused(Refusal::NoSuchConference)) => frame("404", Value::Null, "Unknown account"),
        Err(Failure::Refused(Refusal::Pin(need))) => {
            if need.wrong {
                app.limiter.charge(ip, WRONG_GUESS);
            }
            frame("401", Value::Null, "Wrong password")
        }
        Ok(_) | Err(_) => frame("503", Value::Null, "Not available at the moment"),
    }
}

fn read(fields: &Fields) -> Result<Check, String> {
    let within = |name: &str, text: String, most: usize| {
        if text.chars().count() > most { Err(format!("{name} is longer than {most} characters")) } else { Ok(text) }
    };
    let account = within("joinAccount", fields.required("joinaccount")?, ACCOUNT)?;
    let password = within("joinPwd", fields.text("joinpwd")?.unwrap_or_default(), PASSWORD)?;
    let name = within("participantName", fields.required("participantname")?, NAME)?;
    if account.is_empty() || name.trim().is_empty() {
        return Err("joinAccount and participantName must not be empty".into());
    }
    Ok(Check { account, password, name })
}

fn results(app: &App, check: &Check, role: Role, settings: &Settings) -> Value {
    let digits = |alias: &&String| alias.chars().all(|c| c.is_ascii_digit());
    let first = settings.aliases.first().cloned().unwrap_or_default();
    let short = settings.aliases.iter().find(digits).cloned().unwrap_or_else(|| first.clone());
    let address = settings.aliases.iter().find(|alias| alias.contains('@')).cloned();
    json!({
        "isDot": false,
        "sipkey": short,
        "alias": address.unwrap_or_else(|| format!("{short}@{}", app.settings.domain)),
        "password": check.password,
        "participantName": check.name,
        "roleType": match role { Role::Host => "host", Role::Guest => "guest" },
        "mcuHost": app.settings.public_host,
        "companyId": 0,
        "isRecord": false,
        "isLive": false,
        "conferenceName": settings.name,
        "allowGuest": if settings.allow_guests { "yes" } else { "no" },
    })
}

fn frame(code: &str, results: Value, message: &str) -> Response {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Json(json!({"code": code, "timeStamp": timestamp(unix), "results": results, "message": message})).into_response()
}

/// `YYYY-MM-DD HH:MM:SS` in UTC. The days are counted as in the proleptic Gregorian calendar, in eras of 400 years.
fn timestamp(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let date = day_of_year - (153 * shifted + 2) / 5 + 1;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{:02}", second % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn timestamps_know_leap_years() {
        assert_eq!(super::timestamp(0), "1970-01-01 00:00:00");
        assert_eq!(super::timestamp(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(super::timestamp(1_700_000_000), "2023-11-14 22:13:20");
        assert_eq!(super::timestamp(1_709_251_199), "2024-02-29 23:59:59");
        assert_eq!(super::timestamp(4_107_542_400), "2100-03-01 00:00:00");
    }
}
