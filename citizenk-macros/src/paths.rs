//! Everything of the library that generated code names.
//!
//! In: `crate = path`, or nothing. Out: the first lines of a generated block, after which
//! `__citizenk::X` is `path::__private::X`. Generated code says the library's path once, so that a wrong
//! one is one error at that path.
//!
//! | item of `__private` | used by |
//! |---|---|
//! | `Component`, `ComponentDef` (`From` of what the `handle` functions return; `broken()`), `Origin::new` | all |
//! | `Extract` (`prepare`, `extract`), `PrepareContext`, `Call` | agent, timer, hook |
//! | `AgentInput` (`Mode`), `agent`, `batch_size`, `millis`, `AgentHandle` (`NAME`), `Policy`, `Guarantee`, `handle`, `outcome`, `reply`, `agent_future_must_be_send` | agent |
//! | `AgentBuilder`: `topic input batch_timeout output sends on_decode_error on_error on_produce_error timeout concurrency blocking group groupless start_earliest start_latest after wrap requires` | agent |
//! | `Policy`: `skip stop dead_letter retry backoff then_skip then_stop then_dead_letter`; `Guarantee`: `AtLeastOnce ExactlyOnce` | agent, module |
//! | `timer`, `Schedule::{every, cron}`, `timer_handle`, `Tick`, `task_outcome`, `agent_future_must_be_send` | timer |
//! | `TimerBuilder`: `wait_first max_repetitions stop_on_error on_one on_owner sends wrap requires` | timer |
//! | `hook`, `HookEvent::{Startup, Shutdown, Assigned, Revoked}`, `hook_handle`, `Hook`, `PartitionHook`, `task_outcome`, `HookBuilder`: `sends wrap requires` | hook |
//! | `web::{route, part, last, Method, Request, respond, Probe, InputProbe, NoInputProbe, OutputProbe, NoOutputProbe}` | route |
//! | `Module`: `new prefix on_decode_error on_error on_produce_error wrap register include` | module |
//! | `Message`, `serde::{Serialize, Deserialize}`, `schemars::JsonSchema` | message |

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;
use syn::spanned::Spanned;

/// Where the library is.
#[derive(Clone)]
pub(crate) struct Paths {
    krate: Option<Path>,
}

impl Paths {
    pub(crate) fn new(krate: Option<&Path>) -> Self {
        Self {
            krate: krate.cloned(),
        }
    }

    /// `::citizenk::__private`, or the same under the path the user gave.
    pub(crate) fn private(&self) -> TokenStream {
        match &self.krate {
            Some(path) => {
                // The path's own span: what is not found in it is an error at it.
                quote_spanned!(path.span()=> #path::__private)
            }
            None => quote!(::citizenk::__private),
        }
    }

    /// The line that gives generated code its name for the library.
    pub(crate) fn import(&self) -> TokenStream {
        let private = self.private();
        quote!(use #private as __citizenk;)
    }
}

/// A local variable that no code of the user can see.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// A local variable for a value that rustc may have to complain about at `span`; only generated code may
/// stand where it is in scope.
pub(crate) fn at(name: &str, span: Span) -> Ident {
    Ident::new(name, span)
}

/// Where a name stands, with the resolution of generated code: lints for handwritten code stay quiet.
pub(crate) fn generated(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}
