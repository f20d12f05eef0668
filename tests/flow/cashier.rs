//! The payer's way in a browser: the cashier's page, a choice, the provider's page, and back.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{Reply, World};

/// The fields of the form that holds `mark`, as a browser would send them.
fn form(page: &str, mark: &str) -> (String, Vec<(String, String)>) {
    let form = page
        .split("<form")
        .skip(1)
        .find(|form| form.split("</form>").next().unwrap().contains(mark));
    let form = form
        .unwrap_or_else(|| panic!("no form with {mark} in {page}"))
        .split("</form>")
        .next()
        .unwrap();
    let fields = form.split("<input").skip(1).filter_map(|input| {
        let tag = input.split('>').next().unwrap();
        Some((attribute(tag, "name")?, attribute(tag, "value")?))
    });
    (attribute(form, "action").unwrap(), fields.collect())
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next().unwrap();
    let plain = value.replace("&#34;", "\"").replace("&quot;", "\"").replace("&#38;", "&");
    Some(plain.replace("&#60;", "<").replace("&#62;", ">").replace("&amp;", "&"))
}

async fn browse(world: &World, url: &str) -> Reply {
    Reply::of(world.client.get(url).send().await.unwrap()).await
}

async fn submit(
    world: &World,
    base: &str,
    (action, fields): (String, Vec<(String, String)>),
) -> Reply {
    let url = if action.starts_with('/') { format!("{base}{action}") } else { action };
    Reply::of(world.client.post(url).form(&fields).send().await.unwrap()).await
}

async fn cashier(world: &World) -> (Value, String) {
    world.account().await;
    let order = world.order(1250).await;
    let place = text(&order, "cashier_url").to_owned();
    (order, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_chooses_pays_and_comes_back_to_a_paid_order() {
    let world = World::start().await;
    let (order, place) = cashier(&world).await;
    let page = browse(&world, &place).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text.contains("12.50"), "{}", page.text);
    let leading = submit(&world, &world.url, form(&page.text, "value=\"page\"")).await;
    assert_eq!(leading.status, 200, "{}", leading.text);
    let policy = leading.header("content-security-policy").to_owned();
    assert!(policy.contains(&world.simulator.url), "the form may go to the provider: {policy}");
    let provider = submit(&world, &world.url, form(&leading.text, "biz_content")).await;
    assert_eq!(provider.status, 200, "{}", provider.text);
    let (action, _) = form(&provider.text, "name=\"action\"");
    let pressed = (action, vec![("action".to_owned(), "pay".to_owned())]);
    let back = submit(&world, &world.simulator.url, pressed).await;
    let home = browse(&world, back.header("location")).await;
    assert_eq!((home.status, home.header("location")), (303, place.as_str()));
    world.order_until(&order, "paid").await;
    let page = browse(&world, &place).await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("value=\"page\""), "nothing is left to choose: {}", page.text);
    let again =
        submit(&world, &world.url, (place.replace(&world.url, ""), choice(&world, "page").await))
            .await;
    assert_eq!(again.status, 303, "a second press leads back: {}", again.text);
    assert_eq!(world.order_of(&order).await["payments"].as_array().unwrap().len(), 1);
}

async fn choice(world: &World, method: &str) -> Vec<(String, String)> {
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    vec![
        ("account_id".to_owned(), text(&account, "id").to_owned()),
        ("method".to_owned(), method.to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_shown_left_and_another_way_taken() {
    let world = World::start().await;
    let (order, place) = cashier(&world).await;
    let page = browse(&world, &place).await;
    let chosen = submit(&world, &world.url, form(&page.text, "value=\"qr\"")).await;
    assert_eq!(chosen.status, 303, "{}", chosen.text);
    let waiting = browse(&world, &place).await;
    assert!(waiting.text.contains("class=\"qr\""), "{}", waiting.text);
    let status = format!("{place}/status");
    let before = browse(&world, &status).await.ok()["state"].clone();
    let left = submit(&world, &world.url, form(&waiting.text, "name=\"leave\"")).await;
    assert_eq!(left.status, 303, "{}", left.text);
    assert_ne!(
        browse(&world, &status).await.ok()["state"],
        before,
        "the page knows that it changed"
    );
    let page = browse(&world, &place).await;
    submit(&world, &world.url, form(&page.text, "value=\"page\"")).await;
    let payment = world.order_of(&order).await["payments"][1].clone();
    world.payer_pays(&payment).await;
    world.order_until(&order, "paid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buttons_that_would_read_alike_have_their_accounts_names() {
    let world = World::start().await;
    let (_, place) = cashier(&world).await;
    let page = browse(&world, &place).await;
    assert!(!page.text.contains("class=\"account\""), "{}", page.text);
    let mut second = world.credentials("account");
    second["name"] = json!("Branch <2>");
    let first = world.get("/v1/accounts").await.ok()["data"][0]["name"].clone();
    world.post("/v1/accounts", second).await.ok();
    let page = browse(&world, &place).await.text;
    for name in [first.as_str().unwrap(), "Branch &#60;2&#62;"] {
        let button = format!("<span class=\"account\">{name}</span>");
        assert_eq!(page.matches(&button).count(), page.matches("<form").count() / 2, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_is_not_told_what_is_wrong_with_the_shops_account() {
    let mut world = World::start().await;
    let (_, place) = cashier(&world).await;
    world.write("UPDATE accounts SET granted = '[]'").await;
    world.restart().await;
    let fields = choice(&world, "page").await;
    let page = Reply::of(world.client.post(&place).form(&fields).send().await.unwrap()).await;
    assert_eq!(page.status, 503, "{}", page.text);
    assert!(page.text.contains("Try again in a minute"), "{}", page.text);
    for inside in ["acc_", "grant", "plugin"] {
        assert!(!page.text.contains(inside), "{inside}: {}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_from_elsewhere_or_with_more_in_it_is_refused() {
    let world = World::start().await;
    let (order, place) = cashier(&world).await;
    let fields = choice(&world, "page").await;
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = world.client.post(&place).header(name, value).form(&fields);
        assert_eq!(request.send().await.unwrap().status(), 403, "{name}");
    }
    let mut more = fields.clone();
    more.push(("amount".to_owned(), "1".to_owned()));
    let reply = Reply::of(world.client.post(&place).form(&more).send().await.unwrap()).await;
    assert_eq!(reply.status, 422, "{}", reply.text);
    let nobody = format!("{}/pay/{}", world.url, "x".repeat(32));
    assert_eq!(browse(&world, &nobody).await.status, 404);
    assert_eq!(world.order_of(&order).await["payments"], json!([]));
}
