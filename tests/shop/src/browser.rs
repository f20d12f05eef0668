//! The payer's browser: opens pages, fills forms, follows redirects between gateway and provider.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, RequestBuilder, redirect};
use url::{Origin, Url};

use crate::html::{Form, forms};

/// What a computer's browser says of itself: a cashier offers what suits it.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// How many redirects or self-submitting pages may follow each other.
const HOPS_MAX: usize = 10;

/// A browser that visits the gateway and the provider, and no other place.
pub struct Browser {
    client: Client,
    known: Vec<Origin>,
}

/// A page that was opened.
pub struct Page {
    /// Its address after all redirects.
    pub url: Url,
    /// Its HTML. Empty where a redirect led to a place that this browser does not visit.
    pub html: String,
}

impl Browser {
    /// A browser for these places.
    pub fn new(places: &[&Url]) -> anyhow::Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { client, known: places.iter().map(|url| url.origin()).collect() })
    }

    /// Opens an address.
    pub async fn open(&self, url: &Url) -> anyhow::Result<Page> {
        self.follow(url.clone(), self.client.get(url.clone())).await
    }

    /// Presses a button of a form, or has the form submitted by its page, and follows where it leads.
    pub async fn submit(
        &self,
        page: &Page,
        form: &Form,
        button: Option<usize>,
    ) -> anyhow::Result<Page> {
        let (url, request) = self.request(page, form, button)?;
        self.follow(url, request).await
    }

    /// Presses a button and closes the window before any answer is followed.
    pub async fn submit_and_leave(
        &self,
        page: &Page,
        form: &Form,
        button: Option<usize>,
    ) -> anyhow::Result<()> {
        let (url, request) = self.request(page, form, button)?;
        let status = request.send().await?.status();
        if status.is_client_error() || status.is_server_error() {
            bail!("{url} answers {status}");
        }
        Ok(())
    }

    fn request(
        &self,
        page: &Page,
        form: &Form,
        button: Option<usize>,
    ) -> anyhow::Result<(Url, RequestBuilder)> {
        let url =
            page.url.join(&form.action).with_context(|| format!("form to {}", form.action))?;
        let mut fields = form.fields.clone();
        if let Some(button) = button {
            fields.extend(form.buttons.get(button).context("no such button")?.field.clone());
        }
        let request = if form.post {
            self.client.post(url.clone()).form(&fields)
        } else {
            self.client.get(url.clone()).query(&fields)
        };
        Ok((url, request))
    }

    async fn follow(&self, mut url: Url, mut request: RequestBuilder) -> anyhow::Result<Page> {
        for _ in 0..HOPS_MAX {
            let response = request.send().await.with_context(|| format!("{url}"))?;
            let status = response.status();
            if status.is_redirection() {
                let to = response.headers().get("location").context("a redirect to nowhere")?;
                url = url.join(to.to_str()?)?;
                if !self.known.contains(&url.origin()) {
                    return Ok(Page { url, html: String::new() });
                }
                request = self.client.get(url.clone());
                continue;
            }
            let html = response.text().await?;
            if !status.is_success() {
                bail!("{url} answers {status}: {html}");
            }
            return Ok(Page { url, html });
        }
        bail!("{url}: more than {HOPS_MAX} redirects");
    }
}

impl Page {
    /// The forms on it.
    pub fn forms(&self) -> Vec<Form> {
        forms(&self.html)
    }

    /// The first button that a word stands on, or in its name or value, with its form.
    pub fn button(&self, word: &str) -> anyhow::Result<(Form, Option<usize>)> {
        let says = |text: &str| text.to_lowercase().contains(word);
        for form in self.forms() {
            let at = form.buttons.iter().position(|button| {
                let field = button.field.as_ref();
                says(&button.label) || field.is_some_and(|(name, value)| says(name) || says(value))
            });
            if at.is_some() {
                return Ok((form, at));
            }
        }
        bail!("no button says {word} on {}: {}", self.url, self.html)
    }
}
