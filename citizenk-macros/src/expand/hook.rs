//! `#[on_event]` to code.
//!
//! In: a validated [`Hook`]. Out: the body of its `describe`.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::common::{self, Task, origin};
use crate::attr::hook::{Event, HookArgs};
use crate::check::ON_EVENT;
use crate::model::Hook;
use crate::paths::{generated, local};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = proc_macro2::Span::call_site();
    common::on_function::<HookArgs, _>(
        ON_EVENT,
        args,
        item,
        |args, function, report| Hook::validate(&args, function, attribute, report),
        glue,
    )
}

fn glue(hook: &Hook) -> TokenStream {
    let function = &hook.function;
    let span = generated(function.ident.span());
    let builder = local("__b");
    let name = &function.name;
    let origin = origin(function);
    let event = match hook.event {
        Event::Startup => quote_spanned!(span=> __citizenk::HookEvent::Startup),
        Event::Shutdown => quote_spanned!(span=> __citizenk::HookEvent::Shutdown),
        Event::Assigned => quote_spanned!(span=> __citizenk::HookEvent::Assigned),
        Event::Revoked => quote_spanned!(span=> __citizenk::HookEvent::Revoked),
    };
    let mode = if hook.event.has_partitions() {
        quote_spanned!(span=> __citizenk::PartitionHook)
    } else {
        quote_spanned!(span=> __citizenk::Hook)
    };
    let around = common::around(&hook.sends, &hook.wrap);
    let Task {
        requires,
        prepare,
        call,
    } = Task::of(function);
    quote_spanned! {span=>
        type __Mode = #mode;
        let #builder = __citizenk::hook::<__Mode>(#name, #origin, #event);
        #around
        #requires
        <__citizenk::ComponentDef as ::core::convert::From<_>>::from(__citizenk::hook_handle(#builder, #prepare, #call))
    }
}
