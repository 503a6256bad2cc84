//! The service's own HTTP server: bound before anything starts, served from before consumers run until
//! after they have left.

use std::sync::Arc;

use super::beside;
use super::live::Live;
use super::{App, Overrides, Prepared};
use crate::config::{Broker, Settings};
use crate::error::RunError;
use crate::transport::BrokerKind;
use crate::web::{
    Attach, Bound, Exposure, Key, Neighbourhood, Server, ServiceInfo, Surroundings, WebPlan,
};

/// A bound address and everything that will be served there.
#[derive(Debug)]
pub(crate) struct Front {
    bound: Bound,
    plan: WebPlan,
    info: ServiceInfo,
}

/// The servers' addresses, without credentials.
pub(crate) fn printable_servers(broker: &Broker) -> String {
    match broker {
        Broker::Cluster(servers) => servers.clone(),
        Broker::Embedded => "embedded".to_owned(),
        Broker::Unset => String::new(),
    }
}

/// The plan and the facts, without an address.
pub(crate) fn plan(
    app: &App,
    settings: &Settings,
    overrides: &Overrides,
    broker: BrokerKind,
) -> Result<(WebPlan, ServiceInfo), RunError> {
    let assembled = app.assembled(overrides)?;
    let info = app.service_info(&assembled, settings, broker);
    let plan = app.web_plan(&assembled, settings, &info)?;
    Ok((plan, info))
}

/// What the library's own arguments of HTTP handlers come from.
pub(crate) fn attach(prepared: &Prepared) -> Attach {
    let env = prepared.spec.env.clone();
    Arc::new(move |extensions| {
        extensions.insert(env.clone());
    })
}

/// Of the worker that others reach at `own`.
pub(crate) fn neighbourhood(settings: &Settings, own: String) -> Neighbourhood {
    let http = &settings.http;
    let secret = http.cluster_secret.as_ref();
    let peers = http.peers.as_ref();
    let peers = peers.iter().flat_map(|peers| peers.value.split(','));
    let clean = |url: &str| url.trim().trim_end_matches('/').to_owned();
    Neighbourhood {
        own: clean(&own),
        key: secret.map_or_else(Key::default, |secret| Key::new(secret.value.expose())),
        peers: peers.map(clean).filter(|url| !url.is_empty()).collect(),
        ..Neighbourhood::default()
    }
}

impl Front {
    pub(crate) fn bind(
        app: &App,
        settings: &Settings,
        overrides: &Overrides,
        broker: BrokerKind,
    ) -> Result<Self, RunError> {
        let (plan, info) = plan(app, settings, overrides, broker)?;
        let bound = Bound::bind(&settings.http.address.value.to_string())?;
        Ok(Self { bound, plan, info })
    }

    /// Where this worker can be reached.
    pub(crate) fn url(&self) -> String {
        format!(
            "http://{}{}",
            self.bound.address(),
            self.plan.config().prefix
        )
    }

    /// How this worker finds others and is found.
    pub(crate) fn neighbourhood(&self, settings: &Settings) -> Neighbourhood {
        let own = settings.http.advertised_url.as_ref();
        neighbourhood(
            settings,
            own.map_or_else(|| self.url(), |url| url.value.clone()),
        )
    }

    /// Serves; requests of the app's own routes run where the rest of its code does.
    pub(crate) fn serve(
        self,
        prepared: &Prepared,
        neighbourhood: Neighbourhood,
    ) -> Result<(Server, Arc<Live>), RunError> {
        let url = self.url();
        let exposure = Exposure::from(self.bound.address());
        let live = Arc::new(Live::new(self.info, &prepared.spec));
        beside::join(neighbourhood.client_id(), &live);
        let surroundings = Surroundings {
            exposure,
            executor: Some(prepared.spec.handle.clone()),
            attach: attach(prepared),
            neighbourhood,
        };
        let router = self.plan.router(live.clone(), surroundings);
        let server = self.bound.serve(router, self.plan.config().server)?;
        if self.plan.config().auto {
            tracing::info!("documentation at {url}{}", self.plan.config().docs_path);
        }
        Ok((server, live))
    }
}
