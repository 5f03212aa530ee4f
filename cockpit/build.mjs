// Makes dist/: what Cockpit serves. With --tests it makes dist-test/ instead: the unit tests, which node's own runner runs.
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const at = (...parts) => path.join(here, ...parts);

// PatternFly's base style names fonts and pictures which the page does not use: it takes the fonts that are there.
const withoutFonts = {
  name: "without-fonts",
  setup(build) {
    build.onLoad({ filter: /\.css$/ }, async ({ path: file }) => {
      const text = await fs.promises.readFile(file, "utf8");
      return { contents: text.replace(/@font-face\s*\{[^}]*\}/g, ""), loader: "css" };
    });
  },
};

async function page() {
  fs.rmSync(at("dist"), { recursive: true, force: true });
  fs.mkdirSync(at("dist"));
  for (const file of ["manifest.json", "index.html"]) fs.copyFileSync(at("src", file), at("dist", file));
  const { metafile } = await esbuild.build({
    metafile: true,
    absWorkingDir: here,
    entryPoints: [{ in: at("src/main.tsx"), out: "devices" }],
    outdir: at("dist"),
    bundle: true,
    minify: true,
    format: "iife",
    target: ["chrome87", "firefox78", "safari14"],
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    legalComments: "linked",
    loader: { ".svg": "empty", ".png": "empty", ".jpg": "empty", ".woff2": "empty" },
    plugins: [withoutFonts],
    logLevel: "warning",
  });
  fs.writeFileSync(at("meta.json"), JSON.stringify(metafile)); // what is bundled, for scripts/sbom.py
}

async function tests() {
  fs.rmSync(at("dist-test"), { recursive: true, force: true });
  const files = fs.readdirSync(at("test")).filter((name) => name.endsWith(".test.ts"));
  await esbuild.build({
    absWorkingDir: here,
    entryPoints: files.map((name) => at("test", name)),
    outdir: at("dist-test"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node18",
    logLevel: "warning",
  });
}

await (process.argv.includes("--tests") ? tests() : page());
