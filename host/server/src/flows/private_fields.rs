//! A payer's private fields (a card's number, say): checked against what the method declares, and held for the one call that
//! starts the payment, in which the host seals them to the provider. They stand in no row: what is kept is their names.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use tollgate_plugin::PrivateFields;
use tollgate_plugin::contract::Method;
use tollgate_plugin::manifest::PRIVATE;

use super::accounts::check_inputs;
use super::payments::NewPayment;
use super::{FieldError, Flow, FlowError};
use crate::gateway::{Gateway, Settings};

/// Where they stand in a request.
const PLACE: &str = "private_fields";

/// Checks what a payer or shop brings for a method: what is kept with the payment, and what is not.
pub(super) fn check(
    settings: &Settings,
    method: &Method,
    new: &NewPayment,
    errors: &mut Vec<FieldError>,
) {
    let is_private =
        |name: &str| method.inputs.iter().any(|it| it.kind == PRIVATE && it.name == name);
    let (misplaced, inputs): (BTreeMap<&str, &str>, BTreeMap<&str, &str>) = new
        .inputs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .partition(|(name, _)| is_private(name));
    for name in misplaced.keys() {
        let rule = format!("is private: it belongs in {PLACE}, which nobody keeps");
        errors.push(FieldError::new(format!("inputs.{name}"), rule));
    }
    let public = method.inputs.iter().filter(|input| input.kind != PRIVATE);
    check_inputs("inputs", public, &inputs, errors);

    let private = method.inputs.iter().filter(|input| input.kind == PRIVATE);
    if private.clone().next().is_none() && new.private_fields.is_empty() {
        return;
    }
    if !settings.private_fields {
        if private.clone().any(|input| input.required) {
            let rule =
                "needs private fields, which are switched off in this gateway's configuration";
            errors.push(FieldError::new("method", rule));
        }
        return;
    }
    let mut given = exposed(&new.private_fields);
    let known = given.len();
    // By no name: who swaps names and values would find the card in the answer.
    given.retain(|name, _| is_private(name));
    if given.len() < known {
        errors.push(FieldError::new(PLACE, "has a name that the method does not declare"));
    }
    check_inputs(PLACE, private, &given, errors);
}

/// Refuses private fields where the operator has not switched them on: a start that was cut off before they were switched off
/// is not taken up with them.
///
/// # Errors
/// `private_fields`, by that name.
pub(super) fn switched_on(gateway: &Gateway, fields: &PrivateFields) -> Flow<()> {
    if fields.is_empty() || gateway.settings.private_fields {
        return Ok(());
    }
    let rule = "are switched off in this gateway's configuration (private_fields)";
    Err(FlowError::invalid(PLACE, rule))
}

fn exposed(fields: &PrivateFields) -> BTreeMap<&str, &str> {
    let text = |name| Some((name, fields.get(name)?.expose_secret()));
    fields.names().filter_map(text).collect()
}
