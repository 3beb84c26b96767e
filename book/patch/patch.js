/* Pictures that one can touch, and what two networks make of them, computed here: a drawn face and its patch, or a picture of the
 * reader's own.
 *
 * site.js loads this file when a reader asks for it, with the data that study/book/browser.py writes (window.patchData). What a
 * network computes here is what Keras computes with the same weights: tests/study/book/test_patch.py compares them. */

/* Cividis at nine places, the scale of the book's maps: blue least, yellow most. */
const SCALE = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116], [195, 179, 105], [254, 232, 56],
];

function bytes(text) {
  return Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
}

/* A classifier without branches, layer by layer. An array that passes through is {data, height, width, channels}, as in Keras. */
class Network {
  constructor({layers, size, weights}) {
    this.size = size;
    const floats = name => new Float32Array(bytes(weights[name]).buffer);
    const kernel = name => {
      const step = floats(`${name}/step`);
      return Float32Array.from(new Int8Array(bytes(weights[`${name}/kernel`]).buffer), (level, place) => level * step[place % step.length]);
    };
    this.layers = layers.map(layer => {
      const {kind, name} = layer;
      if (kind === "Conv2D" || kind === "Dense") return {...layer, kernel: kernel(name), bias: floats(`${name}/bias`)};
      if (kind !== "BatchNormalization") return layer;
      const [gamma, beta, mean, variance] = ["gamma", "beta", "moving_mean", "moving_variance"].map(part => floats(`${name}/${part}`));
      const scale = gamma.map((value, place) => value / Math.sqrt(variance[place] + layer.epsilon));
      return {...layer, scale, shift: beta.map((value, place) => value - mean[place] * scale[place])};
    });
    this.attributed = this.layers.map(layer => layer.kind).lastIndexOf("Conv2D");
  }

  /* pixels: size * size * 3 numbers, 0 to 255, row by row. Returns the logits, and gradient times input averaged over channels. */
  look(pixels) {
    const outputs = [];
    let array = {data: Float32Array.from(pixels), height: this.size, width: this.size, channels: 3};
    for (const layer of this.layers) outputs.push(array = FORWARD[layer.kind](array, layer));
    const features = outputs[this.attributed];
    let gradient = array.data.map(Math.sign); // of the sum of the logits' absolute values
    for (let place = this.layers.length - 1; place > this.attributed; place--) {
      gradient = BACKWARD[this.layers[place].kind](gradient, outputs[place - 1], outputs[place], this.layers[place]);
    }
    const map = new Float32Array(features.height * features.width);
    features.data.forEach((value, place) => {
      map[Math.floor(place / features.channels)] += Math.abs(gradient[place]) * value / features.channels;
    });
    return {logits: array.data, map, side: features.width};
  }
}

function pooled({data, height, width, channels}, start, join) {
  const [rows, columns] = [height >> 1, width >> 1];
  const found = new Float32Array(rows * columns * channels).fill(start);
  for (let y = 0; y < 2 * rows; y++) for (let x = 0; x < 2 * columns; x++) for (let c = 0; c < channels; c++) {
    const place = ((y >> 1) * columns + (x >> 1)) * channels + c;
    found[place] = join(found[place], data[(y * width + x) * channels + c]);
  }
  return {data: found, height: rows, width: columns, channels};
}

const FORWARD = {
  Rescaling: (array, {scale, offset}) => ({...array, data: array.data.map(value => value * scale + offset)}),
  BatchNormalization: (array, {scale, shift}) => ({
    ...array,
    data: array.data.map((value, place) => value * scale[place % array.channels] + shift[place % array.channels]),
  }),
  MaxPooling2D: array => pooled(array, -Infinity, Math.max),
  AveragePooling2D: array => pooled(array, 0, (sum, value) => sum + value / 4),
  Flatten: array => ({data: array.data, height: 1, width: 1, channels: array.data.length}),
  Dense({data}, {kernel, bias, relu}) {
    const found = Float64Array.from(bias);
    data.forEach((value, row) => {
      if (value) for (let c = 0, place = row * found.length; c < found.length; c++) found[c] += value * kernel[place + c];
    });
    return {data: Float32Array.from(found, value => relu ? Math.max(value, 0) : value), height: 1, width: 1, channels: found.length};
  },
  Conv2D({data, height, width, channels}, {kernel, bias, relu}) {
    const count = bias.length, found = new Float32Array(height * width * count), sum = new Float64Array(count);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      sum.set(bias);
      for (let dy = 0; dy < 3; dy++) for (let dx = 0; dx < 3; dx++) {
        const [row, column] = [y + dy - 1, x + dx - 1];
        if (row < 0 || column < 0 || row >= height || column >= width) continue;
        for (let i = 0; i < channels; i++) {
          const value = data[(row * width + column) * channels + i];
          if (value) for (let c = 0, place = ((dy * 3 + dx) * channels + i) * count; c < count; c++) sum[c] += value * kernel[place + c];
        }
      }
      found.set(relu ? sum.map(value => Math.max(value, 0)) : sum, (y * width + x) * count);
    }
    return {data: found, height, width, channels: count};
  },
};

/* From the gradient with respect to what a layer gives, that with respect to what it gets. */
const BACKWARD = {
  Flatten: gradient => gradient,
  Dense(gradient, input, output, {kernel, relu}) {
    const passed = relu ? gradient.map((value, place) => output.data[place] > 0 ? value : 0) : gradient;
    return Float32Array.from(input.data, (_, row) => {
      let sum = 0;
      for (let c = 0, place = row * passed.length; c < passed.length; c++) sum += passed[c] * kernel[place + c];
      return sum;
    });
  },
  AveragePooling2D(gradient, {data, width, channels}, output) {
    return Float32Array.from(data, (_, place) => {
      const cell = Math.floor(place / channels), [y, x] = [Math.floor(cell / width) >> 1, (cell % width) >> 1];
      return y < output.height && x < output.width ? gradient[(y * output.width + x) * channels + place % channels] / 4 : 0;
    });
  },
};

function softmax(logits) {
  const largest = Math.max(...logits), powers = Array.from(logits, value => Math.exp(value - largest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map(value => value / sum);
}

/* The face with the patch of that colour, its upper left pixel at (x, y), as palcore.data.synthetic paints it; null for no patch. */
function withPatch(face, size, side, colour, x, y) {
  const pixels = Uint8Array.from(face);
  if (colour) for (let row = y; row < y + side; row++) for (let column = x; column < x + side; column++) {
    pixels.set(colour, (row * size + column) * 3);
  }
  return pixels;
}

/* Share of a map (side x side cells) within a square of the picture, in fractions of its side. */
function shareWithin(map, side, left, top, width) {
  const overlap = (cell, low) => side * Math.max(0, Math.min((cell + 1) / side, low + width) - Math.max(cell / side, low));
  let [inside, total] = [0, 0];
  map.forEach((value, place) => {
    inside += value * overlap(Math.floor(place / side), top) * overlap(place % side, left);
    total += value;
  });
  return total > 0 ? inside / total : 0;
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function paint(canvas, size, colourOf) {
  const context = canvas.getContext("2d"), picture = context.createImageData(size, size);
  for (let place = 0; place < size * size; place++) picture.data.set([...colourOf(place), 255], 4 * place);
  context.putImageData(picture, 0, 0);
}

/* The map over the grey face, as the book's figures draw it: stretched from its least to its greatest value. */
function paintMap(canvas, size, pixels, map, side) {
  const least = Math.min(...map), range = Math.max(...map) - least || 1;
  paint(canvas, size, place => {
    const cell = Math.floor(Math.floor(place / size) * side / size) * side + Math.floor((place % size) * side / size);
    const level = (map[cell] - least) / range * (SCALE.length - 1), below = Math.min(Math.floor(level), SCALE.length - 2);
    const grey = (pixels[3 * place] + pixels[3 * place + 1] + pixels[3 * place + 2]) / 3;
    return SCALE[below].map((value, part) => 0.4 * grey + 0.6 * (value + (level - below) * (SCALE[below + 1][part] - value)));
  });
}

const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;
const START = {face: 3, colour: 0}; // what the still picture shows

/* Two networks side by side, and a square that is moved over a picture (width x height) whose pixels they get. */
class Pair {
  constructor(data, names) {
    this.networks = names.map((name, place) => ({words: ["without PAL", "with PAL"][place], network: new Network(data[name])}));
    Object.assign(this, {size: data[names[0]].size, emotions: data[names[0]].emotions, id: document.querySelectorAll(".patch").length});
    this.maps = this.networks.map(() => this.canvas({role: "img"}));
    this.looks = this.networks.map(({words}, place) => element("div", {}, this.maps[place], words));
    this.scale = element("p", {className: "patch-scale", textContent: "Where each looks: blue least, yellow most of its own map."});
    this.says = element("p", {className: "patch-says"});
    this.says.setAttribute("role", "status");
    this.rows = element("tbody");
    const head = element("tr", {}, ...["expression", ...this.networks.map(({words}) => words)].map(textContent => {
      return element("th", {scope: "col", textContent});
    }));
    this.table = element("table", {}, element("caption", {textContent: "What each answers"}), element("thead", {}, head), this.rows);
    this.picture = this.canvas({role: "img"});
    this.handle = element("button", {type: "button", className: "patch-handle"});
    this.stage = element("div", {className: "patch-stage"}, this.picture, this.handle);
    this.listen();
  }

  canvas(properties) {
    return element("canvas", {width: this.size, height: this.size, ...properties});
  }

  put(figure, label, ...parts) {
    this.box = element("div", {className: "patch"}, ...parts);
    this.box.setAttribute("role", "group");
    this.box.setAttribute("aria-label", label);
    figure.before(this.box);
  }

  move(x, y) {
    const within = (value, most) => Math.min(Math.max(Math.round(value), 0), most - this.side);
    [this.x, this.y] = [within(x, this.width), within(y, this.height)];
    this.show();
  }

  listen() {
    let pull; // what a pointer does that is down, told where it is in the picture
    const at = event => {
      const box = this.stage.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * this.width, (event.clientY - box.top) / box.height * this.height];
    };
    this.stage.addEventListener("pointerdown", event => {
      if (event.button || this.handle.hidden) return;
      event.preventDefault();
      this.stage.setPointerCapture(event.pointerId);
      this.handle.focus({preventScroll: true});
      const held = at(event).map((place, axis) => place - [this.x, this.y][axis]);
      const [across, down] = held.every(distance => distance >= 0 && distance <= this.side) ? held : [this.side / 2, this.side / 2];
      const reach = Math.min(26 * this.width / this.stage.clientWidth, this.side / 3); // 26 pixels of the screen
      const corner = this.drawCorner && held.every(distance => Math.abs(distance - this.side) < reach);
      pull = (x, y) => corner ? this.drawCorner(x, y) : this.move(x - across, y - down);
      pull(...at(event));
    });
    this.stage.addEventListener("pointermove", event => {
      if (this.stage.hasPointerCapture(event.pointerId)) pull(...at(event));
    });
    const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    this.handle.addEventListener("keydown", event => {
      const stride = event.shiftKey ? this.stride[1] : this.stride[0];
      if (steps[event.key]) this.move(this.x + stride * steps[event.key][0], this.y + stride * steps[event.key][1]);
      else if (event.key === "Home") { this.home(); this.show(); }
      else if (this.keys[event.key]) this.keys[event.key]();
      else return;
      event.preventDefault();
    });
  }

  /* The square at once; the networks' answers before the next frame. */
  show() {
    const {x, y, side, width, height} = this;
    Object.assign(this.handle.style, {left: `${100 * x / width}%`, top: `${100 * y / height}%`, width: `${100 * side / width}%`});
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.answer();
    });
  }

  /* What each makes of these pixels, into maps, table and sentence; `measures` gives more rows, [name, texts], from what was seen. */
  tell(pixels, said = "", label = -1, measures = () => []) {
    const {size, emotions} = this, seen = this.networks.map(({network}) => network.look(pixels));
    const chances = seen.map(({logits}) => softmax(logits)), called = chances.map(all => all.indexOf(Math.max(...all)));
    const row = (name, cells, className) => element("tr", {className}, element("th", {scope: "row", textContent: name}), ...cells);
    const bars = emotions.map((name, place) => row(place === label ? `${name} (shown)` : name, chances.map((all, network) => {
      const cell = element("td", {className: place === called[network] ? "patch-called" : "", textContent: percent(all[place])});
      cell.style.setProperty("--share", `${100 * all[place]}%`);
      return cell;
    }), "patch-bar"));
    const others = measures(seen).map(([name, texts]) => row(name, texts.map(textContent => element("td", {textContent})), "patch-measure"));
    this.rows.replaceChildren(...bars, ...others);
    const answers = this.networks.map(({words}, place) => {
      paintMap(this.maps[place], size, pixels, seen[place].map, seen[place].side);
      this.maps[place].setAttribute("aria-label", `where the network ${words} looks`);
      const verdict = label < 0 ? "" : called[place] === label ? ", right" : ", wrong";
      return `${words[0].toUpperCase()}${words.slice(1)}: ${emotions[called[place]]} (${percent(chances[place][called[place]])})${verdict}.`;
    });
    const text = [...said ? [said] : [], ...answers].join(" ");
    if (text !== this.says.textContent) this.says.textContent = text;
  }
}

/* A drawn face whose patch is moved, recoloured and taken away. */
class Touch extends Pair {
  constructor(figure, data) {
    super(data, ["none", "mean"]);
    const {images, ...faces} = data.faces, all = bytes(images), length = this.size * this.size * 3;
    Object.assign(this, {width: this.size, height: this.size, ...faces, stride: [1, faces.side]}, START);
    this.faces = faces.labels.map((_, row) => all.subarray(row * length, (row + 1) * length));
    const remove = () => {
      this.recolour(-1);
      this.box.querySelector(`input[name=colour-${this.id}]:checked`).focus();
    };
    this.keys = {Delete: remove, Backspace: remove};
    this.home();
    this.build(figure);
    this.show();
  }

  home() {
    [this.x, this.y] = [0, this.size - this.side];
  }

  /* A choice of one among several, as radio buttons that look like what they choose. */
  choice(title, name, entries, chosen, choose) {
    const group = element("fieldset", {className: "patch-choice"}, element("legend", {textContent: title}));
    entries.forEach(({value, label, sign}) => {
      const input = element("input", {type: "radio", name: `${name}-${this.id}`, value, checked: value === chosen});
      input.setAttribute("aria-label", label);
      input.addEventListener("change", () => { choose(value); this.show(); });
      group.append(element("label", {title: label}, input, sign));
    });
    return group;
  }

  build(figure) {
    const faces = this.choice("A face that shows", "face", this.labels.map((label, row) => {
      const sign = this.canvas({ariaHidden: "true"});
      paint(sign, this.size, place => this.faces[row].subarray(3 * place, 3 * place + 3));
      return {value: row, label: this.emotions[label], sign};
    }), this.face, row => { this.face = row; });
    const colours = [...this.emotions.keys(), -1].map(value => ({
      value,
      label: value < 0 ? "no patch" : `the colour that meant ${this.emotions[value]}`,
      sign: element("span", {className: "patch-colour", style: value < 0 ? "" : `background: rgb(${this.colours[value]})`}),
    }));
    const colour = this.choice("The patch's colour", "colour", colours, this.colour, value => { this.colour = value; });
    this.handle.setAttribute("aria-label", "the patch: arrow keys move it, Home puts it back, Delete takes it away");
    const back = element("button", {type: "button", className: "patch-back", textContent: "Put the patch back"});
    back.addEventListener("click", () => { this.home(); this.recolour(this.labels[this.face]); });
    const pictures = element("div", {className: "patch-pictures"}, element("div", {}, this.stage, back), ...this.looks);
    this.put(figure, "Move the patch, and two networks answer", faces, colour, pictures, this.scale, this.says, this.table);
  }

  recolour(colour) {
    this.colour = colour;
    this.box.querySelector(`input[name=colour-${this.id}][value="${colour}"]`).checked = true;
    this.show();
  }

  show() {
    const {size, side, x, y} = this, face = this.faces[this.face], label = this.labels[this.face];
    this.pixels = withPatch(face, size, side, this.colours[this.colour], x, y);
    paint(this.picture, size, place => this.pixels.subarray(3 * place, 3 * place + 3));
    const patch = this.colour < 0 ? "without patch" : `with the colour that meant ${this.emotions[this.colour]}`;
    this.picture.setAttribute("aria-label", `a drawn face that shows ${this.emotions[label]}, ${patch}`);
    this.handle.hidden = this.colour < 0;
    super.show();
  }

  answer() {
    const {size, side, emotions} = this, label = this.labels[this.face], truth = emotions[label];
    if (this.bare?.face !== this.face) {
      const chances = this.networks.map(({network}) => softmax(network.look(this.faces[this.face]).logits)[label]);
      this.bare = {face: this.face, chances};
    }
    const meaning = this.colour < 0 ? "there is no patch" : `in training this colour meant ${emotions[this.colour]}`;
    this.tell(this.pixels, `The face shows ${truth}; ${meaning}.`, label, seen => this.colour < 0 ? [] : [
      ["attribution on the patch", seen.map(({map, side: cells}) => {
        return percent(shareWithin(map, cells, this.x / size, this.y / size, side / size), 1);
      })],
      [`${truth} without the patch`, this.bare.chances.map(chance => percent(chance))],
    ]);
  }
}

const LONGEST = 1600; // pixels along a picture's longer side; a larger one is shrunk first

/* A square of RGBA pixels as FER2013's faces are: grey as OpenCV turns it, then area averages; size x size x 3 equal channels. */
function greySquare(data, side, size) {
  const grey = Uint8Array.from({length: side * side}, (_, place) => (
    (9798 * data[4 * place] + 19235 * data[4 * place + 1] + 3735 * data[4 * place + 2] + 16384) >> 15
  ));
  const step = side / size, pixels = new Uint8Array(size * size * 3);
  const spans = Array.from({length: size}, (_, cell) => {
    const span = [], end = (cell + 1) * step;
    for (let place = Math.floor(cell * step); place < Math.min(end, side); place++) {
      span.push([place, (Math.min(place + 1, end) - Math.max(place, cell * step)) / step]);
    }
    return span;
  });
  spans.forEach((rows, y) => spans.forEach((columns, x) => {
    let sum = 0;
    for (const [row, height] of rows) for (const [column, width] of columns) sum += height * width * grey[row * side + column];
    pixels.fill(Math.round(sum), 3 * (y * size + x), 3 * (y * size + x + 1));
  }));
  return pixels;
}

/* A picture from the reader's disk, cropped by hand to the square that the networks of FER2013 get. It stays in this browser. */
class OwnFace extends Pair {
  constructor(figure, data) {
    super(data, ["fer2013_none", "fer2013_mean"]);
    const [larger, smaller] = [1.05, 1 / 1.05].map(by => () => this.resize(this.side * by));
    this.keys = {"+": larger, "=": larger, "-": smaller};
    this.file = element("input", {type: "file", accept: "image/*"});
    this.file.addEventListener("change", () => this.open(this.file.files[0]));
    this.slider = element("input", {type: "range", min: this.size});
    this.slider.addEventListener("input", () => this.resize(Number(this.slider.value)));
    this.handle.append(element("span", {className: "patch-corner"}));
    this.handle.setAttribute("aria-label", "the frame: arrow keys move it, plus and minus resize it, Home puts it back");
    this.picture.setAttribute("aria-label", "your picture");
    this.crop = this.canvas({role: "img"});
    this.crop.setAttribute("aria-label", "what both networks see: the frame, grey and small");
    const pictures = element("div", {className: "patch-pictures"}, element("div", {}, this.crop, "what both see"), ...this.looks);
    const size = element("label", {className: "patch-size"}, "Size of the frame", this.slider);
    const how = "Move the frame and pull its corner, until a face fills it from forehead to chin, as faces of FER2013 do.";
    const hint = element("p", {className: "patch-scale", textContent: how});
    this.shown = element("div", {hidden: true}, hint, this.stage, size, pictures, this.scale);
    this.answers = element("div", {hidden: true}, this.table);
    const ask = element("label", {className: "patch-file"}, "A picture of one face", this.file);
    this.put(figure, "Frame a face, and two networks answer", ask, this.shown, this.says, this.answers);
    this.says.textContent = "Nothing is sent anywhere: the picture stays in this browser, and is forgotten when you leave the page.";
  }

  async open(file) {
    if (!file) return;
    const image = new Image(), url = URL.createObjectURL(file);
    try {
      image.src = url;
      await image.decode();
    } catch {
      this.refuse(`${file.name} cannot be read as a picture: choose a JPEG, PNG or WebP file.`);
      return;
    } finally {
      URL.revokeObjectURL(url);
    }
    const {naturalWidth, naturalHeight} = image, shrink = Math.min(1, LONGEST / Math.max(naturalWidth, naturalHeight));
    const [width, height] = [naturalWidth, naturalHeight].map(length => Math.round(shrink * length)), shorter = Math.min(width, height);
    if (shorter < this.size) {
      this.refuse(`${file.name} has ${naturalWidth} x ${naturalHeight} pixels: the networks need ${this.size} x ${this.size}.`);
      return;
    }
    Object.assign(this.picture, {width, height});
    this.context = this.picture.getContext("2d", {willReadFrequently: true});
    Object.assign(this.context, {imageSmoothingQuality: "high", fillStyle: "#fff"});
    this.context.fillRect(0, 0, width, height);
    this.context.drawImage(image, 0, 0, width, height);
    this.stage.style.width = `min(100%, ${60 * width / height}vh)`; // no screen is all picture: it could not be scrolled by touch
    Object.assign(this, {width, height, stride: [Math.ceil(shorter / 100), Math.ceil(shorter / 10)]});
    this.slider.max = shorter;
    this.shown.hidden = this.answers.hidden = false;
    this.home();
    this.show();
  }

  refuse(sentence) {
    this.shown.hidden = this.answers.hidden = true;
    this.says.textContent = sentence;
  }

  home() {
    this.side = Math.min(this.width, this.height);
    [this.x, this.y] = [this.width - this.side >> 1, this.height - this.side >> 1];
  }

  /* The frame's middle stays (its upper left corner for `fixed` 0), as far as the picture reaches. */
  resize(side, fixed = 0.5) {
    const before = this.side;
    this.side = Math.round(Math.min(Math.max(side, this.size), this.width, this.height));
    this.move(this.x + fixed * (before - this.side), this.y + fixed * (before - this.side));
  }

  drawCorner(x, y) {
    this.resize(Math.min(Math.max(x - this.x, y - this.y), this.width - this.x, this.height - this.y), 0);
  }

  show() {
    this.slider.value = this.side;
    super.show();
  }

  answer() {
    const {x, y, side, size} = this, pixels = greySquare(this.context.getImageData(x, y, side, side).data, side, size);
    paint(this.crop, size, place => pixels.subarray(3 * place, 3 * place + 3));
    this.tell(pixels);
  }
}

Object.assign(window, {patch: {Network, Touch, OwnFace, withPatch, shareWithin, greySquare}});
