// Browsers refuse to start a Worker for a page opened from disk (file://), and the site's search needs
// one. There, a hidden frame runs the same script; messages pass between it and the page as events.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.document.open();
      inside.document.close();
      inside.postMessage = (data) => this.deliver(data);
      inside.importScripts = (...scripts) =>
        scripts.reduce((done, script) => done.then(() => this.load(inside, script)), Promise.resolve());
      this.ready = this.load(inside, address);
    }

    // Resolves when the script has run; a script that can't be loaded is an error event, as for a Worker.
    load(inside, address) {
      return new Promise((resolve) => {
        const script = inside.document.createElement("script");
        script.src = address;
        script.onload = resolve;
        script.onerror = () => this.dispatchEvent(new ErrorEvent("error", { filename: String(address) }));
        inside.document.head.append(script);
      });
    }

    deliver(data) {
      const event = new MessageEvent("message", { data });
      this.dispatchEvent(event);
      if (this.onmessage) this.onmessage(event);
    }

    postMessage(data) {
      const inside = this.frame.contentWindow;
      this.ready.then(() => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
