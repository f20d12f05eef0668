//! A component's functions: where they are, and calling them.
//!
//! Wasmtime compares a function's types with ours, name by name, whenever it is looked up in an instance, and for
//! arguments as large as these that takes a good part of a call. All instances of a component have the same types, so
//! each function's are compared when it is called for the first time.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, Resource, TypedFunc,
};

use crate::bill::{BillSink, BillSource, SinkHandle, SourceHandle};
use crate::contract::{
    BillRequest, Context, Fault, HttpResponse, Inbound, Operation, PACKAGE, Payment, Progress,
    Reading, Reply, Step, Summary, VERSION, Verdict,
};
use crate::keys::Keys;
use crate::plain::Plain;
use crate::signing::KeyringHandle;
use crate::state::CallState;

/// The functions that a plugin is called for, but for `describe`, which is called once.
pub(crate) struct Exports {
    build: Function,
    interpret: Function,
    read: Function,
    acknowledge: Function,
    parse: Function,
}

/// One of them.
struct Function {
    index: ComponentExportIndex,
    is_checked: AtomicBool,
}

/// An instance of the component, in its store.
pub(crate) struct Running<'a> {
    pub store: &'a mut Store<CallState>,
    pub instance: &'a Instance,
}

impl Running<'_> {
    /// Hands the keyring to the call as a borrowed handle.
    fn lend(&mut self, keys: &Arc<Keys>) -> wasmtime::Result<Resource<KeyringHandle>> {
        let ring = self.store.data_mut().table.push(KeyringHandle(Arc::clone(keys)))?;
        Ok(Resource::new_borrow(ring.rep()))
    }
}

impl Exports {
    pub fn of(component: &Component) -> wasmtime::Result<Self> {
        let find = |interface: &str, function: &str| {
            let interface = format!("{PACKAGE}{interface}@{VERSION}");
            component
                .get_export_index(None, &interface)
                .and_then(|interface| component.get_export_index(Some(&interface), function))
                .map(|index| Function { index, is_checked: AtomicBool::new(false) })
                .ok_or_else(|| wasmtime::Error::msg(format!("{interface} has no {function}")))
        };
        Ok(Self {
            build: find("requests", "build")?,
            interpret: find("requests", "interpret")?,
            read: find("notices", "read")?,
            acknowledge: find("notices", "acknowledge")?,
            parse: find("bills", "parse")?,
        })
    }

    pub async fn build(
        &self,
        mut on: Running<'_>,
        context: &Context,
        keys: &Arc<Keys>,
        operation: &Operation,
        state: &[u8],
    ) -> wasmtime::Result<Result<Step, Fault>> {
        let keys = on.lend(keys)?;
        // SAFETY: the only call of this function.
        unsafe { self.build.call(on, (context, keys, operation, state)) }.await.map(Plain::plain)
    }

    pub async fn interpret(
        &self,
        mut on: Running<'_>,
        context: &Context,
        keys: &Arc<Keys>,
        operation: &Operation,
        (state, response): (&[u8], &HttpResponse),
    ) -> wasmtime::Result<Result<Progress, Fault>> {
        let keys = on.lend(keys)?;
        // SAFETY: the only call of this function.
        unsafe { self.interpret.call(on, (context, keys, operation, state, response)) }
            .await
            .map(Plain::plain)
    }

    pub async fn read(
        &self,
        mut on: Running<'_>,
        context: &Context,
        keys: &Arc<Keys>,
        message: &Inbound,
        (about, answer): (Option<&Payment>, Option<(&[u8], &HttpResponse)>),
    ) -> wasmtime::Result<Result<Reading, Fault>> {
        let keys = on.lend(keys)?;
        // SAFETY: the only call of this function.
        unsafe { self.read.call(on, (context, keys, message, about, answer)) }
            .await
            .map(Plain::plain)
    }

    pub async fn acknowledge(
        &self,
        mut on: Running<'_>,
        context: &Context,
        keys: &Arc<Keys>,
        message: &Inbound,
        verdict: Verdict,
    ) -> wasmtime::Result<Reply> {
        let keys = on.lend(keys)?;
        // SAFETY: the only call of this function.
        unsafe { self.acknowledge.call(on, (context, keys, message, verdict)) }.await
    }

    pub async fn parse(
        &self,
        on: Running<'_>,
        context: &Context,
        bill: &BillRequest,
        file_name: &str,
        (source, sink): (Box<dyn BillSource>, Box<dyn BillSink>),
    ) -> wasmtime::Result<Result<Summary, Fault>> {
        let table = &mut on.store.data_mut().table;
        let (source, sink) = (table.push(SourceHandle(source))?, table.push(SinkHandle(sink))?);
        let source = Resource::<SourceHandle>::new_borrow(source.rep());
        let sink = Resource::<SinkHandle>::new_borrow(sink.rep());
        // SAFETY: the only call of this function.
        unsafe { self.parse.call(on, (context, bill, file_name, source, sink)) }
            .await
            .map(Plain::plain)
    }
}

impl Function {
    /// Calls it.
    ///
    /// # Safety
    /// Always with the same types: they are compared with the component's in the first call only.
    async unsafe fn call<P, R>(&self, on: Running<'_>, arguments: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send,
        (R,): ComponentNamedList + Lift + 'static,
    {
        let Running { store, instance } = on;
        // None for an instance of another component.
        let function = instance.get_func(&mut *store, self.index);
        let function = function.ok_or_else(|| wasmtime::Error::msg("the function is gone"))?;
        let function = if self.is_checked.load(Ordering::Relaxed) {
            // SAFETY: an instance of the same component had these types, by the promise of this method.
            unsafe { TypedFunc::<P, (R,)>::new_unchecked(function) }
        } else {
            let checked = function.typed(&mut *store)?;
            self.is_checked.store(true, Ordering::Relaxed);
            checked
        };
        function.call_async(store, arguments).await.map(|(answer,)| answer)
    }
}
