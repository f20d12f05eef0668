//! What a payer may choose: the methods that a merchant's accounts offer for an order, and the choice checked.

use std::sync::Arc;

use tollgate_domain::ids::AccountId;
use tollgate_plugin::contract::{Input, Method};

use super::account::{self, Account};
use super::payments::NewPayment;
use super::texts::one_line;
use super::{FieldError, Flow, FlowError, private_fields};
use crate::gateway::Gateway;
use crate::store::accounts as account_rows;
use crate::store::orders::OrderRow;

/// A method that a payer may choose for an order.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Through this account.
    pub account_id: AccountId,
    /// What the merchant calls that.
    pub account_name: String,
    /// The plugin's id.
    pub plugin: String,
    /// The provider's name.
    pub plugin_name: String,
    /// The method's id.
    pub method: String,
    /// The method's name.
    pub method_name: String,
    /// What it needs to know.
    pub inputs: Vec<Input>,
}

/// The account that the payment goes through: the one that was named, or the only one that offers the method.
pub(super) async fn choose(
    gateway: &Gateway,
    order: &OrderRow,
    new: &NewPayment,
) -> Flow<Arc<Account>> {
    let surface = new.surface.as_deref().unwrap_or("desktop");
    if let Some(id) = new.account_id {
        let account = account::named(gateway, order.merchant_id, id).await?;
        check_method(gateway, &account, order, new, surface)?;
        return Ok(account);
    }
    let offers = offers(gateway, order, surface).await?;
    let mut fitting = offers.iter().filter(|offer| offer.method == new.method);
    match (fitting.next(), fitting.next()) {
        (Some(offer), None) => {
            let account = account::open(gateway, order.merchant_id, offer.account_id).await?;
            check_method(gateway, &account, order, new, surface)?;
            Ok(account)
        }
        (Some(_), Some(_)) => Err(FlowError::invalid(
            "account_id",
            "must name one of the accounts that offer this method",
        )),
        (None, _) => {
            Err(FlowError::invalid("method", "is offered by no account for this order and surface"))
        }
    }
}

fn check_method(
    gateway: &Gateway,
    account: &Account,
    order: &OrderRow,
    new: &NewPayment,
    surface: &str,
) -> Flow<()> {
    let methods = &account.plugin.manifest().methods;
    let method = methods
        .iter()
        .find(|method| method.id == new.method)
        .ok_or_else(|| FlowError::invalid("method", "is no method of the account's plugin"))?;
    let mut errors = Vec::new();
    if !method.surfaces.iter().any(|offered| offered == surface) {
        let rule = format!("must be one of {}", method.surfaces.join(", "));
        errors.push(FieldError::new("surface", rule));
    }
    if let Err(rule) = takes(method, order) {
        errors.push(FieldError::new("method", rule));
    }
    private_fields::check(&gateway.settings, method, new, &mut errors);
    if new.payer_ip.as_deref().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
        errors.push(FieldError::new("payer_ip", "is no IP address"));
    }
    errors.extend(new.payer_id.as_deref().and_then(|id| one_line("payer_id", id, 256)));
    if errors.is_empty() { Ok(()) } else { Err(FlowError::Invalid(errors)) }
}

/// Whether a method can take an order's amount, and why not.
fn takes(method: &Method, order: &OrderRow) -> Result<(), String> {
    let code = order.currency.code();
    if method.currencies.is_empty() {
        return Ok(());
    }
    let Some(rule) = method.currencies.iter().find(|currency| currency.code == code) else {
        return Err(format!("does not take {code}"));
    };
    if rule.min_minor.is_some_and(|least| order.amount < least) {
        return Err("does not take so small an amount".to_owned());
    }
    if rule.max_minor.is_some_and(|most| order.amount > most) {
        return Err("does not take so large an amount".to_owned());
    }
    if order.amount.checked_rem(rule.step_minor) != Some(0) {
        return Err(format!("takes multiples of {} minor units only", rule.step_minor));
    }
    Ok(())
}

/// The methods that a payer on `surface` may choose for an order.
pub async fn offers(gateway: &Gateway, order: &OrderRow, surface: &str) -> Flow<Vec<Offer>> {
    let mut sql = gateway.store.read().await?;
    let rows = account_rows::list(&mut sql, order.merchant_id).await?;
    drop(sql);
    let mut offers = Vec::new();
    for row in rows {
        // A plugin that is gone offers nothing; its account's operator sees why elsewhere.
        let Some(plugin) = gateway.plugins.get(&row.plugin) else { continue };
        let manifest = plugin.manifest();
        for method in &manifest.methods {
            let fits = method.surfaces.iter().any(|offered| offered == surface)
                && takes(method, order).is_ok();
            if fits {
                offers.push(Offer {
                    account_id: row.id,
                    account_name: row.name.clone(),
                    plugin: row.plugin.clone(),
                    plugin_name: manifest.name.clone(),
                    method: method.id.clone(),
                    method_name: method.name.clone(),
                    inputs: method.inputs.clone(),
                });
            }
        }
    }
    Ok(offers)
}
