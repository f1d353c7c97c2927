//! Who may enter, and as what: PINs and roles (MGMT-10).
//!
//! Without a PIN everybody is host. With a host PIN, guests enter when the conference allows them: by the guest PIN if
//! there is one, else by saying that they have none.

use crate::conference::Settings;

/// Rights of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// May steer.
    Host,
    /// May take part.
    Guest,
}

/// What the next attempt must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinNeed {
    /// Whether guests must give a PIN too; if not, an empty one makes a guest.
    pub guest_pin: bool,
    /// Whether a PIN was given, and was wrong.
    pub wrong: bool,
}

/// The role that `pin` gives. `None` = no PIN was given, `Some("")` = the person says to have none.
pub(crate) fn role_for(settings: &Settings, pin: Option<&str>) -> Result<Role, PinNeed> {
    let Some(host_pin) = settings.host_pin.as_deref() else { return Ok(Role::Host) };
    let guests_need_pin = !settings.allow_guests || settings.guest_pin.is_some();
    let need = |wrong| PinNeed { guest_pin: guests_need_pin, wrong };
    match pin {
        None => Err(need(false)),
        Some("") if !guests_need_pin => Ok(Role::Guest),
        Some("") => Err(need(false)),
        Some(pin) if same(pin, host_pin) => Ok(Role::Host),
        Some(pin) if settings.allow_guests && settings.guest_pin.as_deref().is_some_and(|guest| same(pin, guest)) => {
            Ok(Role::Guest)
        }
        Some(_) => Err(need(true)),
    }
}

/// Compares without telling by its time where the difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: Option<&str>, guest: Option<&str>, allow_guests: bool) -> Settings {
        Settings {
            host_pin: host.map(String::from),
            guest_pin: guest.map(String::from),
            allow_guests,
            ..Settings::default()
        }
    }

    #[test]
    fn without_a_pin_everybody_is_host() {
        assert_eq!(role_for(&settings(None, None, true), None), Ok(Role::Host));
        assert_eq!(role_for(&settings(None, None, true), Some("77")), Ok(Role::Host));
    }

    #[test]
    fn mgmt_10_the_pin_decides_the_role() {
        let both = settings(Some("1234"), Some("99"), true);
        assert_eq!(role_for(&both, Some("1234")), Ok(Role::Host));
        assert_eq!(role_for(&both, Some("99")), Ok(Role::Guest));
        assert_eq!(role_for(&both, Some("12345")), Err(PinNeed { guest_pin: true, wrong: true }));
        assert_eq!(role_for(&both, Some("")), Err(PinNeed { guest_pin: true, wrong: false }));
        assert_eq!(role_for(&both, None), Err(PinNeed { guest_pin: true, wrong: false }));
    }

    #[test]
    fn a_guest_without_pin_says_so_and_a_conference_may_refuse_guests() {
        let open = settings(Some("1234"), None, true);
        assert_eq!(role_for(&open, None), Err(PinNeed { guest_pin: false, wrong: false }));
        assert_eq!(role_for(&open, Some("")), Ok(Role::Guest));
        let closed = settings(Some("1234"), Some("99"), false);
        assert_eq!(role_for(&closed, Some("99")), Err(PinNeed { guest_pin: true, wrong: true }));
        assert_eq!(role_for(&closed, Some("")), Err(PinNeed { guest_pin: true, wrong: false }));
    }
}
